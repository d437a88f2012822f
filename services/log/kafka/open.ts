import type { Clock, Timers } from '../../../ports/clock.js';
import { realClock, realTimers } from '../../../ports/real.js';
import { TallyringError } from '../../../proto/errors.js';
import type { KafkaLogConfig } from '../config.js';
import { type KafkaAdmin, type KafkaClient, loadKafkaClient } from './client.js';
import { Fetcher } from './fetcher.js';
import { KafkaLetters } from './kafka-letters.js';
import { KafkaLog } from './kafka-log.js';
import { ensureTopic, Topic } from './topic.js';

const CONNECT_TIMEOUT_MS = 2_000;
/** Longest that any request waits for its broker, whatever its caller's patience. */
const REQUEST_TIMEOUT_MS = 10_000;
const BATCH_SLACK_BYTES = 1024 * 1024;
/** A new topic needs a moment until all of its partitions have leaders. */
const NEW_TOPIC_TIMEOUT_MS = 15_000;
const NEW_TOPIC_PAUSE_MS = 50;

export interface OpenKafkaLogOptions {
  config: KafkaLogConfig;
  clock?: Clock;
  timers?: Timers;
}

/**
 * Opens the log on Kafka, and makes its topics where they are missing. Rejects FAILED_PRECONDITION when Kafka's
 * client is not installed or a topic is not fit, UNAVAILABLE when no broker can be reached.
 */
export async function openKafkaLog(options: OpenKafkaLogOptions): Promise<KafkaLog> {
  const { config, clock = realClock, timers = realTimers } = options;
  const client = await loadKafkaClient();
  // No retries of its own: one that succeeds after an answer was lost would append twice, without anybody's word.
  const settings = {
    clientId: 'tallyring',
    bootstrapBrokers: config.brokers,
    retries: 0,
    timeout: REQUEST_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    connectTimeout: CONNECT_TIMEOUT_MS,
    strict: false,
  };
  const admin = new client.Admin(settings);
  try {
    await ensureTopics(admin, config);
    const [topic, letters] = await openTopics(admin, config, { clock, timers });
    return compose(client, { config, settings, admin, topic, letters, clock, timers });
  } catch (error) {
    await admin.close();
    throw error;
  }
}

async function ensureTopics(admin: KafkaAdmin, config: KafkaLogConfig): Promise<void> {
  const { topic, partitions, replicas, maxAppendBytes } = config;
  const shared = {
    'retention.ms': '-1',
    'retention.bytes': '-1',
    'min.insync.replicas': replicas > 2 ? '2' : '1',
    'unclean.leader.election.enable': 'false',
    'max.message.bytes': String(maxAppendBytes + BATCH_SLACK_BYTES),
  };
  await ensureTopic(admin, {
    name: topic,
    partitions,
    replicas,
    settings: { ...shared, 'cleanup.policy': 'delete', 'message.timestamp.type': 'LogAppendTime' },
    // Kafka's own limits would delete what processing still needs, and a sender's clock is not the log's.
    required: ['message.timestamp.type', 'retention.ms', 'retention.bytes', 'cleanup.policy'],
  });
  await ensureTopic(admin, {
    name: lettersTopicOf(topic),
    partitions: 1,
    replicas,
    settings: { ...shared, 'cleanup.policy': 'compact' },
    required: ['cleanup.policy'],
  });
}

export function lettersTopicOf(topic: string): string {
  return `${topic}-dead-letters`;
}

/** Opens both topics once every partition has a leader that answers. */
async function openTopics(
  admin: KafkaAdmin,
  config: KafkaLogConfig,
  { clock, timers }: { clock: Clock; timers: Timers },
): Promise<[Topic, Topic]> {
  const untilMs = clock.monotonicMs() + NEW_TOPIC_TIMEOUT_MS;
  for (;;) {
    try {
      const topics = await Promise.all(
        [config.topic, lettersTopicOf(config.topic)].map(async (name) => {
          const topic = await Topic.open(name, { admin, clock });
          const partitions = Array.from({ length: topic.partitions }, (_, partitionIndex) => ({
            partitionIndex,
            timestamp: -1n,
          }));
          await admin.listOffsets({ topics: [{ name, partitions }] });
          return topic;
        }),
      );
      return topics as [Topic, Topic];
    } catch (cause) {
      admin.clearMetadata();
      if (clock.monotonicMs() > untilMs) {
        const text = `the topics of the log are not ready: ${(cause as Error).message}`;
        throw new TallyringError('UNAVAILABLE', text, { cause });
      }
    }
    await new Promise<void>((resolve) => timers.after(NEW_TOPIC_PAUSE_MS, resolve));
  }
}

interface Composed {
  config: KafkaLogConfig;
  settings: object;
  admin: KafkaAdmin;
  topic: Topic;
  letters: Topic;
  clock: Clock;
  timers: Timers;
}

function compose(client: KafkaClient, parts: Composed): KafkaLog {
  const { config, settings, admin, topic, letters, clock, timers } = parts;
  if (topic.partitions !== config.partitions) {
    throw new TallyringError(
      'FAILED_PRECONDITION',
      `topic ${topic.name} has ${topic.partitions} partitions, the configuration says ${config.partitions}: ` +
        'which partition an event is in depends on the number, so set it to what the topic was made with',
    );
  }
  const producer = new client.Producer(settings);
  const fetcherOf = (of: Topic) =>
    new Fetcher({
      topic: of,
      clock,
      timers,
      makeConsumer: () => new client.Consumer({ ...settings, groupId: 'tallyring', autocommit: false }),
    });
  const fetchers = [fetcherOf(topic), fetcherOf(letters)] as const;
  const deadLetters = new KafkaLetters({
    topic: letters,
    producer,
    fetcher: fetchers[1],
    timers,
    maxLetters: config.maxDeadLetters,
  });
  const close = async () => {
    await Promise.all([...fetchers, producer, admin].map((one) => one.close()));
  };
  return new KafkaLog({
    config,
    topic,
    admin,
    producer,
    fetcher: fetchers[0],
    deadLetters,
    clock,
    timers,
    close,
  });
}
