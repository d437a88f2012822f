import type { Clock } from '../../../ports/clock.js';
import { TallyringError } from '../../../proto/errors.js';
import type { KafkaAdmin, KafkaTopicFacts } from './client.js';
import { fromKafkaError, hasCode } from './errors.js';

export interface TopicOptions {
  name: string;
  partitions: number;
  replicas: number;
  /** Settings that it is made with. */
  settings: Record<string, string>;
  /** Those of them without which it is refused when it is there already. */
  required: readonly string[];
}

const TOPIC_RESOURCE = 2;
/** Leaders and the id of the topic are looked up this often, and after every error. */
const FACTS_AGE_MS = 1_000;

/** Makes a topic when it is missing; refuses one with other settings. */
export async function ensureTopic(admin: KafkaAdmin, options: TopicOptions): Promise<void> {
  const { name, partitions, replicas, settings } = options;
  try {
    const configs = Object.entries(settings).map(([key, value]) => ({ name: key, value }));
    await admin.createTopics({ topics: [name], partitions, replicas, configs });
  } catch (error) {
    if (!hasCode(error, 'TOPIC_ALREADY_EXISTS')) throw fromKafkaError(error, { writes: false });
    await checkSettings(admin, options);
  }
}

async function checkSettings(admin: KafkaAdmin, { name, settings, required }: TopicOptions): Promise<void> {
  const resource = { resourceType: TOPIC_RESOURCE, resourceName: name, configurationKeys: [...required] };
  const [found] = await admin.describeConfigs({ resources: [resource] }).catch((error: unknown) => {
    // While another process is still making it, this broker may not know it.
    throw fromKafkaError(error, { writes: false });
  });
  const wrong = required.filter(
    (key) => found?.configs.find((one) => one.name === key)?.value !== settings[key],
  );
  if (wrong.length === 0) return;
  const wanted = wrong.map((key) => `${key}=${settings[key]}`).join(',');
  throw new TallyringError(
    'FAILED_PRECONDITION',
    `topic ${name} has other settings than the log needs: set ${wanted} ` +
      `(kafka-configs.sh --alter --topic ${name} --add-config ${wanted}), or configure another topic`,
  );
}

/** A topic by its name, as long as it is the one that was opened: a topic that is made anew has another id. */
export class Topic {
  readonly name: string;
  readonly id: string;
  readonly partitions: number;
  readonly #admin: KafkaAdmin;
  readonly #clock: Clock;
  #facts: KafkaTopicFacts;
  #askedMs: number;
  #asking: Promise<KafkaTopicFacts> | undefined;

  private constructor(name: string, facts: KafkaTopicFacts, parts: { admin: KafkaAdmin; clock: Clock }) {
    this.name = name;
    this.id = facts.id;
    this.partitions = facts.partitions.length;
    this.#admin = parts.admin;
    this.#clock = parts.clock;
    this.#facts = facts;
    this.#askedMs = parts.clock.monotonicMs();
  }

  static async open(name: string, parts: { admin: KafkaAdmin; clock: Clock }): Promise<Topic> {
    return new Topic(name, await lookUp(parts.admin, name), parts);
  }

  /** The broker that leads a partition. Throws FAILED_PRECONDITION when the topic is not the one that was opened. */
  async leaderOf(partition: number): Promise<number> {
    const { partitions } = await this.check();
    const leader = partitions[partition]?.leader ?? -1;
    if (leader >= 0) return leader;
    this.forget();
    throw new TallyringError('UNAVAILABLE', `partition ${partition} of topic ${this.name} has no leader now`);
  }

  async check(): Promise<KafkaTopicFacts> {
    if (this.#clock.monotonicMs() - this.#askedMs > FACTS_AGE_MS) {
      this.#asking ??= lookUp(this.#admin, this.name).finally(() => {
        this.#asking = undefined;
      });
      this.#facts = await this.#asking;
      this.#askedMs = this.#clock.monotonicMs();
    }
    if (this.#facts.id === this.id) return this.#facts;
    throw new TallyringError(
      'FAILED_PRECONDITION',
      `topic ${this.name} is now ${this.#facts.id}, not ${this.id}: it was made anew`,
    );
  }

  /** What is known is in doubt: ask again next time. */
  forget(): void {
    this.#askedMs = -Infinity;
  }
}

async function lookUp(admin: KafkaAdmin, name: string): Promise<KafkaTopicFacts> {
  try {
    const { topics } = await admin.metadata({ topics: [name], forceUpdate: true });
    return topics.get(name)!;
  } catch (error) {
    throw fromKafkaError(error, { writes: false });
  }
}
