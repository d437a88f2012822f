import { describe, expect, inject, it } from 'vitest';
import { type KafkaLogConfig, kafkaLogConfigSchema } from '../../services/log/config.js';
import { loadKafkaClient } from '../../services/log/kafka/client.js';
import type { KafkaLog } from '../../services/log/kafka/kafka-log.js';
import { lettersTopicOf, openKafkaLog } from '../../services/log/kafka/open.js';
import {
  CALL,
  eventually,
  type LogHarness,
  logConformance,
  PAGE,
  readAll,
  rejection,
  texts,
} from '../conformance/log/log-conformance.js';
import { killBroker, startBroker } from './broker.js';

const broker = inject('broker');
let made = 0;

function configOf(settings: object = {}): KafkaLogConfig {
  return kafkaLogConfigSchema.parse({ brokers: [`127.0.0.1:${broker.port}`], ...settings });
}

async function admin() {
  const { Admin } = await loadKafkaClient();
  return new Admin({ clientId: 'test', bootstrapBrokers: [`127.0.0.1:${broker.port}`] });
}

/** A log on topics of its own. Its process dies, in `kill`; the broker's death has a test of its own. */
async function kafkaHarness(): Promise<LogHarness> {
  const topic = `events-${process.pid}-${++made}`;
  const opened: KafkaLog[] = [];
  const drop = async () => {
    for (const log of opened.splice(0)) await log.close();
  };
  const wipe = async () => {
    const client = await admin();
    await client.deleteTopics({ topics: [topic, lettersTopicOf(topic)] });
    await client.close();
  };
  return {
    async open({ retention = {} } = {}) {
      const log = await openKafkaLog({
        config: configOf({ topic, retention: { ageMs: retention.ageMs ?? 3_600_000, intervalMs: 1 } }),
      });
      opened.push(log);
      return log;
    },
    kill: drop,
    wipe,
    async pass(ms) {
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, ms)));
    },
    async dispose() {
      await drop();
      await wipe();
    },
  };
}

logConformance('Kafka', kafkaHarness);

describe('the log on Kafka', () => {
  it('refuses topics whose settings or partitions are not its own, and says how to change them', async () => {
    const client = await admin();
    const topic = `foreign-${process.pid}`;
    const configs = [{ name: 'retention.ms', value: '1000' }];
    await client.createTopics({ topics: [topic], partitions: 4, replicas: 1, configs });
    expect(await rejection(openKafkaLog({ config: configOf({ topic }) }))).toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringMatching(
        /set message.timestamp.type=LogAppendTime,retention.ms=-1 \(kafka-configs/,
      ),
    });
    const fit = `fit-${process.pid}`;
    await (await openKafkaLog({ config: configOf({ topic: fit }) })).close();
    expect(await rejection(openKafkaLog({ config: configOf({ topic: fit, partitions: 8 }) }))).toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringMatching(/has 4 partitions, the configuration says 8/),
    });
    await client.close();
  });

  it('notices that its topic was made anew', async () => {
    const topic = `anew-${process.pid}`;
    const log = await openKafkaLog({ config: configOf({ topic }) });
    await log.append([{ partition: 0, records: texts('x', 3) }], CALL);
    const client = await admin();
    await client.deleteTopics({ topics: [topic] });
    const again = await openAgain(topic);
    expect(again.description.logId).not.toBe(log.description.logId);
    const failed = { code: 'FAILED_PRECONDITION', mayHaveApplied: false };
    expect(await rejection(log.read(0, 3, PAGE))).toMatchObject(failed);
    expect(await rejection(log.append([{ partition: 0, records: texts('x', 1) }], CALL))).toMatchObject(
      failed,
    );
    expect(await again.bounds(0, CALL)).toEqual({ start: 0, end: 0 });
    await Promise.all([log.close(), again.close(), client.close()]);
  });

  it('goes on after its broker was killed, with all that was acknowledged', async () => {
    const log = await openKafkaLog({ config: configOf({ topic: `killed-${process.pid}` }) });
    const acknowledged: string[] = [];
    const errors: unknown[] = [];
    let stop = false;
    const writers = [0, 1, 2, 3].map(async (partition) => {
      for (let i = 0; !stop; i++) {
        const name = `w${partition}-${i}`;
        await log.append([{ partition, records: texts(name, 10) }], { timeoutMs: 3_000 }).then(
          () => acknowledged.push(name),
          async (error: unknown) => {
            errors.push(error);
            await new Promise((resolve) => setTimeout(resolve, 20));
          },
        );
      }
    });
    await eventually(async () => acknowledged.length > 100);
    killBroker(broker, 'SIGKILL');
    const idle = await log.read(3, 0, PAGE).catch((error: unknown) => error);
    expect(idle).toMatchObject({ code: 'UNAVAILABLE', mayHaveApplied: false });
    await eventually(async () => errors.length > 20);
    const before = acknowledged.length;
    startBroker(broker);
    await eventually(async () => acknowledged.length > before + 100);
    stop = true;
    await Promise.all(writers);
    for (const error of errors) {
      const { code } = error as { code: string };
      expect(['UNAVAILABLE', 'WRITE_TIMEOUT', 'READ_TIMEOUT']).toContain(code);
    }
    // Of those that never left this is certain, so that most of them may simply be made again.
    expect(
      errors.filter((error) => !(error as { mayHaveApplied: boolean }).mayHaveApplied).length,
    ).toBeGreaterThan(10);
    const found = new Set<string>();
    for (const partition of [0, 1, 2, 3]) {
      for (const { payload } of await readAll(log, partition)) found.add(payload.toString());
    }
    for (const name of acknowledged)
      for (const text of texts(name, 10)) expect(found).toContain(text.toString());
    await log.close();
  }, 90_000);

  it('says that no broker can be reached', async () => {
    const config = kafkaLogConfigSchema.parse({ brokers: ['127.0.0.1:1'] });
    expect(await rejection(openKafkaLog({ config }))).toMatchObject({
      code: 'UNAVAILABLE',
      mayHaveApplied: false,
    });
  });
});

/** A topic's name is free only a moment after it was deleted. */
async function openAgain(topic: string): Promise<KafkaLog> {
  const untilMs = performance.now() + 10_000;
  for (;;) {
    try {
      return await openKafkaLog({ config: configOf({ topic }) });
    } catch (error) {
      if (performance.now() > untilMs) throw error;
    }
  }
}
