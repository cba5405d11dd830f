// `maisonnette averages`: the classic exercise with MQTT. Subscribes to the temperature of all
// rooms and shows the mean of each room and of the house. It works with any sensor that publishes
// plain decimals, and it is short, so that it can be read as an example of a subscriber.

import packageJson from '../../package.json' with { type: 'json' };
import { House } from '../room/house.js';
import {
  FailureError, helpText, parseArguments, seconds, UsageError, type Command, type Option,
  type Values,
} from './arguments.js';
import { connectionOf, CONNECTION_SECTION, runClient } from './connection-options.js';
import { HouseView } from './house-view.js';
import { becauseOf, isRefusal, placeOf } from './sentences.js';

/** `+` stands for any room. */
const FILTERS = ['maison/+/temperature', 'maison/+/etat'];

const OPTIONS: readonly Option[] = [
  { name: 'window', value: 'SECONDS',
    help: 'how far back a mean reaches, of sensors with up to one reading per second',
    default: '3600' },
  { name: 'stale', value: 'SECONDS',
    help: 'a room that was not heard of for so long is left out of the house', default: '90' },
  { name: 'plain', help: 'lines instead of a table, also on a terminal' },
];

export const averagesCommand: Command = {
  name: 'averages',
  summary: 'show the mean temperature of each room and of the house',
  async run(args) {
    const values = parseArguments(args, [...OPTIONS, ...CONNECTION_SECTION.options]);
    if (values.flag('help')) process.stdout.write(averagesHelp());
    else await showAverages(values);
    return 0;
  },
};

function averagesHelp(): string {
  return helpText('maisonnette averages [options]',
    `The mean temperature of each room, and of the house, from all messages on maison/+/temperature.
The mean of a room is that of its readings; the mean of the house is that of its rooms.
A retained message may be old: its room does not count for the house before a new reading comes.
Nor does a room whose maison/<room>/etat is hors-ligne.`,
    { title: 'Options', options: OPTIONS }, CONNECTION_SECTION);
}

async function showAverages(values: Values): Promise<void> {
  const { options: connection, topic } = connectionOf(values);
  if (topic !== undefined) {
    throw new UsageError(`--url has a topic: averages are those of ${FILTERS[0]}`);
  }
  const windowMs = seconds('window', values.text('window') ?? '3600', 1, WINDOW_SECONDS_MAX);
  const house = new House({
    windowMs,
    staleMs: seconds('stale', values.text('stale') ?? '90', 1, STALE_SECONDS_MAX),
    // One reading per second; and some for the trend, however short the window is.
    historyMax: Math.max(Math.ceil(windowMs / 1000), 60),
  });
  const place = placeOf(connection);
  let news = `connected to ${place}`;
  const view = new HouseView(house, {
    title: `Maisonnette ${packageJson.version}: mean temperatures`,
    above: () => [`${FILTERS[0]}: ${news}`],
    below: ['Ctrl-C ends'],
    humidity: false, counts: true, plain: values.flag('plain'),
  });
  const tell = (sentence: string): void => {
    if (sentence !== news) view.line(sentence);
    news = sentence;
  };
  let failure: FailureError | undefined;
  let end = (): void => {};
  // Nobody reads any more, as after `| head -2`: a quiet end. Another error is main's to tell.
  const onError = ({ code }: NodeJS.ErrnoException): void => {
    if (code === 'EPIPE') end();
  };
  process.stdout.on('error', onError);
  try {
    await runClient({
      ...connection,
      onConnected: () => {
        tell(`connected to ${place}`);
        view.open();
      },
      onMessage: (topic, payload, { retain }) => {
        view.told(topic, house.take(topic, payload, retain, performance.now()));
      },
      onSubscribed: (filter, reasonCode) => {
        if (!isRefusal(reasonCode)) return;
        failure = new FailureError(
          `${place} refuses the subscription to ${filter}${becauseOf(reasonCode)}`);
        end();
      },
      onRefusal: tell,
      onLoss: tell,
    }, (client, close) => {
      end = close;
      for (const filter of FILTERS) client.subscribe(filter, { QoS: 1 });
    });
  } finally {
    process.stdout.removeListener('error', onError);
    view.close();
  }
  if (failure !== undefined) throw failure;
}

/** A day, whose readings one likes to hold, and a week. */
const WINDOW_SECONDS_MAX = 86_400;
const STALE_SECONDS_MAX = 604_800;
