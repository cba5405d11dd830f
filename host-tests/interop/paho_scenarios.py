"""Scenarios of Eclipse Paho (Python) against a broker on loopback. Called by paho.test.ts with the port; prints a line
of JSON for each scenario: {"name": ..., "problem": null or a sentence}. Knows Paho 1.6 and 2.x."""

import json
import socket
import sys
import threading
import time

import paho.mqtt.client as paho

PORT = int(sys.argv[1])
WAIT_SECONDS = 8
VERSIONS = {'3.1.1': paho.MQTTv311, '3.1': paho.MQTTv31}


class Peer:
    """A client in a thread of its own, with everything it receives."""

    def __init__(self, version, client_id, clean=True, will=None):
        arguments = {'client_id': client_id, 'clean_session': clean, 'protocol': version}
        if hasattr(paho, 'CallbackAPIVersion'):
            arguments['callback_api_version'] = paho.CallbackAPIVersion.VERSION1
        self.client = paho.Client(**arguments)
        self.changed = threading.Condition()
        self.connack = None
        self.session_present = None
        self.granted = {}
        self.unsubscribed = set()
        self.published = set()
        self.gone = False
        self.messages = []
        self.client.on_connect = self.on_connect
        self.client.on_subscribe = lambda client, data, mid, granted: self.note(
            lambda: self.granted.__setitem__(mid, list(granted)))
        self.client.on_unsubscribe = lambda client, data, mid: self.note(lambda: self.unsubscribed.add(mid))
        self.client.on_publish = lambda client, data, mid: self.note(lambda: self.published.add(mid))
        self.client.on_disconnect = lambda client, data, code: self.note(lambda: setattr(self, 'gone', True))
        self.client.on_message = lambda client, data, message: self.note(lambda: self.messages.append(
            (message.topic, message.payload.decode(), message.qos, bool(message.retain))))
        if will:
            self.client.will_set(**will)
        self.client.connect('127.0.0.1', PORT, keepalive=60)
        self.client.loop_start()
        self.until(lambda: self.connack is not None, 'CONNACK')

    def note(self, change):
        with self.changed:
            change()
            self.changed.notify_all()

    def on_connect(self, client, data, flags, code):
        def change():
            self.session_present = flags['session present']
            self.connack = code
        self.note(change)

    def until(self, condition, what):
        with self.changed:
            if not self.changed.wait_for(condition, WAIT_SECONDS):
                raise AssertionError('waited %d s for %s; messages: %s' % (WAIT_SECONDS, what, self.messages[-5:]))

    def subscribe(self, topic, qos):
        _, mid = self.client.subscribe(topic, qos)
        self.until(lambda: mid in self.granted, 'SUBACK')
        return self.granted[mid]

    def unsubscribe(self, topic):
        _, mid = self.client.unsubscribe(topic)
        self.until(lambda: mid in self.unsubscribed, 'UNSUBACK')

    def publish(self, topic, text, qos=0, retain=False):
        mid = self.client.publish(topic, text, qos, retain).mid
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
        self.client.reconnect_delay_set(60, 60)
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
    if version == paho.MQTTv311:
        equal(again.session_present, 1, 'session present')
    again.received(40)
    messages = again.settled()
    for qos in (1, 2):
        equal([text for _, text, each, _ in messages if each == qos], [str(i) for i in range(20)], 'QoS %d' % qos)
    again.leave()
    clean = Peer(version, 'kept', clean=True)
    equal(clean.session_present, 0, 'session present after a clean session')
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


def main():
    for name, version in VERSIONS.items():
        for scenario in (every_qos, retained, will, persistent_session, burst):
            problem = None
            start = time.monotonic()
            try:
                scenario(version)
            except Exception as error:  # whatever it is, it is what the test has to tell
                problem = '%s: %s' % (type(error).__name__, error)
            print(json.dumps({'name': 'MQTT %s: %s' % (name, scenario.__name__.replace('_', ' ')), 'problem': problem,
                              'seconds': round(time.monotonic() - start, 2)}), flush=True)


main()
