// The table of normative statements against the tests: every statement of MQTT 3.1.1 and 5.0 is named by a test, or
// stands in the table as not applicable, with the reason. How tests name them: clauses.ts.
import t from 'tap';
import { clausesOf, compareIds, namedIn, namings, VERSIONS } from './clauses.js';

declare const HOST_TESTS: string;

const named = namings(HOST_TESTS);

for (const version of VERSIONS) {
  const clauses = clausesOf(HOST_TESTS, version);
  const ids = new Set(clauses.map(({ id }) => id));

  t.test(`the table of ${version} is in order and says whom each statement binds`, (t) => {
    t.same(clauses.map(({ id }) => id), [...ids].sort(compareIds), 'each identifier once, sorted');
    for (const { id, binds, gist, notApplicable } of clauses) {
      if (!/^MQTT-\d+\.\d+\.\d+-\d+$/.test(id)) t.fail(`${id} is no identifier`);
      if (!['server', 'client', 'both'].includes(binds)) t.fail(`${id} binds ${binds}`);
      const words = gist.split(' ').length;
      if (words < 3 || words > 10) t.fail(`${id}: a gist of ${words} words`);
      if (notApplicable !== undefined && notApplicable.length < 10) t.fail(`${id}: not applicable, and no reason`);
    }
    t.end();
  });

  t.test(`every statement of ${version} is named by a test, or not applicable`, (t) => {
    const missing = clauses.filter(({ id, notApplicable }) => !notApplicable && !named.has(`${version} ${id}`));
    t.same(missing.map(({ id, binds, gist }) => `${id} ${binds}: ${gist}`), [], 'named by none');
    const both = clauses.filter(({ id, notApplicable }) => notApplicable && named.has(`${version} ${id}`));
    const filesOf = (id: string): string => [...named.get(`${version} ${id}`)!].join();
    t.same(both.map(({ id }) => `${id}: ${filesOf(id)}`), [], 'named, and not applicable');
    t.end();
  });

  t.test(`what tests name as a statement of ${version} is one`, (t) => {
    const own = [...named].filter(([name]) => name.startsWith(`${version} `));
    const wrong = own.filter(([name]) => !ids.has(name.slice(version.length + 1)));
    t.same(wrong.map(([name, files]) => `${name}: ${[...files].join()}`), []);
    t.end();
  });
}

t.test('the reading of namings sees versions, ends of strings, and comments', (t) => {
  const read = (source: string): string => namedIn(source).join(', ');
  t.equal(read(`t.test('[MQTT-1.5.3-1] one', f); // [MQTT-1.5.3-2]`), '3.1.1 MQTT-1.5.3-1, 3.1.1 MQTT-1.5.3-2');
  t.equal(read(`'5.0 [MQTT-1.5.4-1], [MQTT-1.5.4-2]; 3.1.1 [MQTT-1.5.3-1]'`),
    '5.0 MQTT-1.5.4-1, 5.0 MQTT-1.5.4-2, 3.1.1 MQTT-1.5.3-1');
  t.equal(read(`'5.0 [MQTT-1.5.4-1]', '[MQTT-1.5.3-1]'`), '5.0 MQTT-1.5.4-1, 3.1.1 MQTT-1.5.3-1');
  t.equal(read('`5.0 [MQTT-1.5.4-1]: the client\'s` + f("[MQTT-3-8.3-4]")'), '5.0 MQTT-1.5.4-1, 3.1.1 MQTT-3-8.3-4');
  t.equal(read('const a = [MQTT-1.5.3-1];'), '', 'code names nothing');
  t.end();
});
