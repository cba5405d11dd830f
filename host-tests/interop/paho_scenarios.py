"""Scenarios of Eclipse Paho (Python) against a broker on loopback. Called by paho.test.ts with the port; prints a line
of JSON for each scenario: {"name": ..., "problem": null or a sentence}. Knows Paho 1.6 and 2.x."""

import json
import socket
import sys
import threading
import time

import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

PORT = int(sys.argv[1])
WAIT_SECONDS = 8
VERSIONS = {'3.1.1': paho.MQTTv311, '3.1': paho.MQTTv31, '5.0': paho.MQTTv5}
NEVER = 0xffffffff


def properties(packet_type, **values):
    """`UserProperty` and `SubscriptionIdentifier` may be lists of them."""
    result = Properties(packet_type)
    for name, value in values.items():
        for each in value if isinstance(value, list) else [value]:
            setattr(result, name, each)
    return result


class Peer:
    """A client in a thread of its own, with everything it receives."""

    def __init__(self, version, client_id, clean=True, will=None, expiry=None, **connect):
        """`expiry`: seconds that the session is kept in MQTT 5.0; `connect`: further properties of CONNECT."""
        self.level5 = version == paho.MQTTv5
        arguments = {'client_id': client_id, 'protocol': version}
        if not self.level5:
            arguments['clean_session'] = clean
        if hasattr(paho, 'CallbackAPIVersion'):
            arguments['callback_api_version'] = paho.CallbackAPIVersion.VERSION1
        self.client = paho.Client(**arguments)
        self.changed = threading.Condition()
        self.connack = None
        self.connack_properties = None
        self.session_present = None
        self.granted = {}
        self.unsubscribed = {}
        self.published = set()
        self.gone = False
        self.disconnect_reason = None
        self.messages = []
        self.properties = []
        self.client.on_connect = self.on_connect
        self.client.on_subscribe = lambda client, data, mid, granted, *more: self.note(
            lambda: self.granted.__setitem__(mid, [int(getattr(code, 'value', code)) for code in granted]))
        self.client.on_unsubscribe = lambda client, data, mid, *more: self.note(
            lambda: self.unsubscribed.__setitem__(mid, more[1] if more else None))
        self.client.on_publish = lambda client, data, mid: self.note(lambda: self.published.add(mid))
        self.client.on_disconnect = self.on_disconnect
        self.client.on_message = lambda client, data, message: self.note(lambda: self.on_message(message))
        if will:
            self.client.will_set(**will)
        if self.level5:
            if expiry is None and not clean:
                expiry = NEVER
            if expiry is not None:
                connect['SessionExpiryInterval'] = expiry
            self.client.connect('127.0.0.1', PORT, keepalive=60, clean_start=clean,
                                properties=properties(PacketTypes.CONNECT, **connect))
        else:
            self.client.connect('127.0.0.1', PORT, keepalive=60)
        self.client.reconnect_delay_set(60, 60)
        self.client.loop_start()
        self.until(lambda: self.connack is not None, 'CONNACK')

    def note(self, change):
        with self.changed:
            change()
            self.changed.notify_all()

    def on_connect(self, client, data, flags, code, *more):
        def change():
            self.session_present = flags['session present']
            self.connack_properties = more[0] if more else None
            self.connack = code
        self.note(change)

    def on_disconnect(self, client, data, code, *more):
        def change():
            self.disconnect_reason = getattr(code, 'value', code)
            self.gone = True
        self.note(change)

    def on_message(self, message):
        self.messages.append((message.topic, message.payload.decode(), message.qos, bool(message.retain)))
        self.properties.append(getattr(message, 'properties', None))

    def until(self, condition, what):
        with self.changed:
            if not self.changed.wait_for(condition, WAIT_SECONDS):
                raise AssertionError('waited %d s for %s; messages: %s' % (WAIT_SECONDS, what, self.messages[-5:]))

    def subscribe(self, topic, qos, identifier=None, **options):
        if self.level5:
            given = None if identifier is None else properties(PacketTypes.SUBSCRIBE, SubscriptionIdentifier=identifier)
            _, mid = self.client.subscribe(topic, options=SubscribeOptions(qos, **options), properties=given)
        else:
            _, mid = self.client.subscribe(topic, qos)
        self.until(lambda: mid in self.granted, 'SUBACK')
        return self.granted[mid]

    def unsubscribe(self, topic):
        _, mid = self.client.unsubscribe(topic)
        self.until(lambda: mid in self.unsubscribed, 'UNSUBACK')
        code = self.unsubscribed[mid]
        return getattr(code[0] if isinstance(code, list) else code, 'value', None)

    def publish(self, topic, text, qos=0, retain=False, **given):
        more = {'properties': properties(PacketTypes.PUBLISH, **given)} if given else {}
        mid = self.client.publish(topic, text, qos, retain, **more).mid
        self.until(lambda: mid in self.published, 'the end of PUBLISH')

    def received(self, count):
        self.until(lambda: len(self.messages) >= count, '%d messages' % count)
        return self.messages

    def settled(self):
        """Everything that had been published to this client before now."""
        self.subscribe('settled', 0)
        self.publish('settled', 'now', 1)
        self.until(lambda: any(topic == 'settled' for topic, *_ in self.messages), 'settled')
        return [message for message in self.messages if message[0] != 'settled']

    def leave(self):
        self.client.disconnect()
        self.client.loop_stop()

    def vanish(self):
        """As a device that loses its power: the socket goes, without DISCONNECT."""
        self.client.socket().shutdown(socket.SHUT_RDWR)
        self.until(lambda: self.gone, 'on_disconnect')
        threading.Thread(target=self.client.loop_stop, daemon=True).start()


def equal(found, wanted, what):
    if found != wanted:
        raise AssertionError('%s: found %r, wanted %r' % (what, found, wanted))


def every_qos(version):
    writer = Peer(version, 'writer')
    for granted in (0, 1, 2):
        reader = Peer(version, 'reader-%d' % granted)
        equal(reader.subscribe('maison/#', granted), [granted], 'granted QoS')
        for qos in (0, 1, 2):
            writer.publish('maison/été', 'text %d' % qos, qos)
        equal(reader.received(3), [('maison/été', 'text %d' % qos, min(qos, granted), False) for qos in (0, 1, 2)],
              'messages at QoS %d' % granted)
        reader.unsubscribe('maison/#')
        writer.publish('maison/été', 'unheard', 2)
        equal(len(reader.settled()), 3, 'messages after UNSUBSCRIBE')
        reader.leave()
    writer.leave()


def retained(version):
    writer = Peer(version, 'writer')
    writer.publish('garde/a', 'old', 1, True)
    writer.publish('garde/a', 'new', 2, True)
    writer.publish('garde/b', 'kept', 0, True)
    reader = Peer(version, 'reader')
    reader.subscribe('garde/#', 1)
    equal(sorted(reader.received(2)), [('garde/a', 'new', 1, True), ('garde/b', 'kept', 0, True)], 'retained')
    writer.publish('garde/a', b'', 1, True)
    writer.publish('garde/b', b'', 1, True)
    late = Peer(version, 'late')
    late.subscribe('garde/#', 1)
    equal(late.settled(), [], 'retained after clearing')
    for peer in (writer, reader, late):
        peer.leave()


def will(version):
    reader = Peer(version, 'reader')
    reader.subscribe('will/#', 2)
    polite = Peer(version, 'polite', will={'topic': 'will/polite', 'payload': 'gone', 'qos': 1})
    abrupt = Peer(version, 'abrupt', will={'topic': 'will/abrupt', 'payload': 'gone', 'qos': 2})
    polite.leave()
    abrupt.vanish()
    reader.received(1)
    equal(reader.settled(), [('will/abrupt', 'gone', 2, False)], 'wills')
    reader.leave()


def persistent_session(version):
    kept = Peer(version, 'kept', clean=False)
    kept.subscribe('nuit/#', 2)
    kept.vanish()
    writer = Peer(version, 'writer')
    for i in range(20):
        writer.publish('nuit/1', str(i), 1)
        writer.publish('nuit/2', str(i), 2)
    again = Peer(version, 'kept', clean=False)
    if version != paho.MQTTv31:
        equal(bool(again.session_present), True, 'session present')
    again.received(40)
    messages = again.settled()
    for qos in (1, 2):
        equal([text for _, text, each, _ in messages if each == qos], [str(i) for i in range(20)], 'QoS %d' % qos)
    again.leave()
    clean = Peer(version, 'kept', clean=True)
    equal(bool(clean.session_present), False, 'session present after a clean session')
    writer.publish('nuit/1', 'unheard', 1)
    equal(clean.settled(), [], 'a clean session')
    for peer in (clean, writer):
        peer.leave()


def burst(version):
    reader = Peer(version, 'reader')
    reader.subscribe('burst', 2)
    writer = Peer(version, 'writer')
    for i in range(500):
        writer.client.publish('burst', str(i), 2)
    reader.received(500)
    equal([int(text) for _, text, _, _ in reader.settled()], list(range(500)), 'QoS 2 burst')
    for peer in (reader, writer):
        peer.leave()


USER_PROPERTIES = [('b', '1'), ('a', 'é'), ('b', ''), ('', '2'), ('a', '0'), ('b', '1')]
KEPT = {
    'PayloadFormatIndicator': 1, 'ContentType': 'text/plain', 'ResponseTopic': 'réponse/1',
    'CorrelationData': b'\x00\xff\x00', 'UserProperty': USER_PROPERTIES,
}


def order_of_user_properties(version):
    reader = Peer(version, 'reader')
    will_properties = properties(PacketTypes.WILLMESSAGE, **KEPT)
    writer = Peer(version, 'writer', will={
        'topic': 'maison/will', 'payload': 'texte', 'qos': 1, 'properties': will_properties})
    reader.subscribe('maison/#', 2)
    for qos in (0, 1, 2):
        writer.publish('maison/x', 'texte', qos, qos == 2, **KEPT)
    writer.vanish()
    reader.received(4)
    late = Peer(version, 'late')
    late.subscribe('maison/x', 2)
    late.received(1)
    for found in reader.properties + late.properties:
        equal({name: getattr(found, name) for name in KEPT}, KEPT, 'properties')
        equal(hasattr(found, 'MessageExpiryInterval'), False, 'an expiry that nobody gave')
    reader.publish('maison/x', b'', 1, True)
    for peer in (reader, late):
        peer.leave()


def expiry(version):
    kept = Peer(version, 'kept', clean=False, expiry=60)
    kept.subscribe('nuit/#', 1)
    kept.vanish()
    writer = Peer(version, 'writer')
    writer.publish('nuit/1', 'short', 1, MessageExpiryInterval=1)
    writer.publish('nuit/1', 'long', 1, MessageExpiryInterval=NEVER)
    brief = Peer(version, 'brief', clean=False, expiry=1)
    brief.vanish()
    time.sleep(3)
    again = Peer(version, 'kept', clean=False, expiry=60)
    equal(again.settled(), [('nuit/1', 'long', 1, False)], 'what did not expire')
    left = again.properties[0].MessageExpiryInterval
    equal(NEVER - 10 <= left <= NEVER - 2, True, '%d seconds left' % left)
    equal(bool(Peer(version, 'brief', clean=False, expiry=1).session_present), False, 'a session that expired')
    again.leave()
    writer.leave()


def aliases_and_identifiers(version):
    reader = Peer(version, 'reader', TopicAliasMaximum=0)
    reader.subscribe('maison/#', 2, identifier=268435455)
    reader.subscribe('maison/+', 1, identifier=1)
    writer = Peer(version, 'writer')
    equal(writer.connack_properties.TopicAliasMaximum, 10, 'topic alias maximum')
    for qos in (0, 1, 2):
        writer.publish('maison/%d' % qos, 'named', qos, TopicAlias=10 - qos)
    for qos in (0, 1, 2):
        writer.publish('', 'unnamed', qos, TopicAlias=10 - qos)
    # What differs in topic and QoS comes in any order: QoS 2 is told when it is released.
    equal(sorted(reader.received(6)), sorted(('maison/%d' % qos, text, qos, False) for text in ('named', 'unnamed')
                                             for qos in (0, 1, 2)), 'messages')
    for found in reader.properties:
        equal(sorted(found.SubscriptionIdentifier), [1, 268435455], 'identifiers')
    writer.client.publish('maison/1', 'x', 0, properties=properties(PacketTypes.PUBLISH, TopicAlias=11))
    writer.until(lambda: writer.gone, 'DISCONNECT')
    equal(writer.disconnect_reason, 0x94, 'reason of DISCONNECT')
    reader.leave()


def subscribe_options(version):
    writer = Peer(version, 'writer')
    writer.publish('option/kept', 'kept', 1, True)
    writer.subscribe('option/#', 1, noLocal=True)
    as_published = Peer(version, 'as published')
    as_published.subscribe('option/#', 1, retainAsPublished=True, retainHandling=SubscribeOptions.RETAIN_DO_NOT_SEND)
    writer.publish('option/kept', '', 1, True)
    writer.publish('option/kept', 'live', 0)
    equal(as_published.settled(), [('option/kept', '', 1, True), ('option/kept', 'live', 0, False)], 'as published')
    equal(writer.settled(), [('option/kept', 'kept', 1, True)], 'no local: only what was retained')
    equal(writer.unsubscribe('option/#'), 0, 'UNSUBACK')
    equal(writer.unsubscribe('option/#'), 0x11, 'UNSUBACK, no subscription existed')
    for peer in (writer, as_published):
        peer.leave()


def taken_over(version):
    old = Peer(version, 'twin', clean=False)
    new = Peer(version, 'twin', clean=False)
    equal(bool(new.session_present), True, 'session present')
    old.until(lambda: old.gone, 'DISCONNECT')
    equal(old.disconnect_reason, 0x8e, 'reason of DISCONNECT')
    nameless = Peer(version, '')
    equal(len(nameless.connack_properties.AssignedClientIdentifier) > 0, True, 'assigned client identifier')
    refused = Peer(version, 'refused', AuthenticationMethod='x')
    equal(refused.connack.value, 0x8c, 'enhanced authentication')
    for peer in (new, nameless, refused):
        peer.leave()


def main():
    of_all = (every_qos, retained, will, persistent_session, burst)
    of_level_5 = (order_of_user_properties, expiry, aliases_and_identifiers, subscribe_options, taken_over)
    for name, version in VERSIONS.items():
        for scenario in of_all + (of_level_5 if version == paho.MQTTv5 else ()):
            problem = None
            start = time.monotonic()
            try:
                scenario(version)
            except Exception as error:  # whatever it is, it is what the test has to tell
                problem = '%s: %s' % (type(error).__name__, error)
            print(json.dumps({'name': 'MQTT %s: %s' % (name, scenario.__name__.replace('_', ' ')), 'problem': problem,
                              'seconds': round(time.monotonic() - start, 2)}), flush=True)


main()
