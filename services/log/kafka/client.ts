import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { TallyringError } from '../../../proto/errors.js';

/**
 * The part of @platformatic/kafka that the log uses. The package is optional: who uses the embedded log installs
 * none, so it is found at run time, and these types are all that the compiler knows of it.
 */
export interface KafkaClient {
  Admin: new (options: object) => KafkaAdmin;
  Producer: new (options: object) => KafkaProducer;
  Consumer: new (options: object) => KafkaConsumer;
}

export interface KafkaTopicFacts {
  id: string;
  partitions: { leader: number; replicas: number[] }[];
}

interface Closable {
  close(): Promise<void>;
  clearMetadata(): void;
}

export interface KafkaAdmin extends Closable {
  metadata(options: {
    topics: string[];
    forceUpdate: boolean;
  }): Promise<{ topics: Map<string, KafkaTopicFacts> }>;
  createTopics(options: {
    topics: string[];
    partitions: number;
    replicas: number;
    configs: { name: string; value: string }[];
  }): Promise<unknown>;
  describeConfigs(options: {
    resources: { resourceType: number; resourceName: string; configurationKeys: string[] }[];
  }): Promise<{ configs: { name: string; value: string | null }[] }[]>;
  listOffsets(options: {
    topics: { name: string; partitions: { partitionIndex: number; timestamp: bigint }[] }[];
  }): Promise<{ partitions: { partitionIndex: number; offset: bigint }[] }[]>;
  deleteRecords(options: {
    topics: { name: string; partitions: { partition: number; offset: bigint }[] }[];
  }): Promise<unknown>;
  deleteTopics(options: { topics: string[] }): Promise<unknown>;
}

export interface KafkaMessage {
  topic: string;
  partition: number;
  key?: Buffer;
  value: Buffer;
}

export interface KafkaProducer extends Closable {
  send(options: { messages: KafkaMessage[]; acks: number }): Promise<{
    offsets?: { topic: string; partition: number; offset: bigint }[];
  }>;
}

export interface KafkaBatch {
  firstOffset: bigint;
  lastOffsetDelta: number;
  attributes: number;
  firstTimestamp: bigint;
  maxTimestamp: bigint;
  records: { offsetDelta: number; timestampDelta: bigint; key: Buffer | null; value: Buffer | null }[];
}

export interface KafkaFetched {
  highWatermark: bigint;
  logStartOffset: bigint;
  records?: KafkaBatch[];
}

export interface KafkaConsumer extends Closable {
  fetch(options: {
    node: number;
    topics: {
      topicId: string;
      partitions: {
        partition: number;
        currentLeaderEpoch: number;
        fetchOffset: bigint;
        lastFetchedEpoch: number;
        partitionMaxBytes: number;
      }[];
    }[];
    maxWaitTime: number;
    minBytes: number;
    maxBytes: number;
    isolationLevel: number;
  }): Promise<{ responses: { partitions: KafkaFetched[] }[] }>;
}

const HERE = dirname(fileURLToPath(import.meta.url));
const PACKAGE = join('node_modules', '@platformatic', 'kafka', 'dist', 'index.js');

/** Where the client may be: where scripts/kafka/install puts it, or in any node_modules above. */
function* placesFrom(start: string): Generator<string> {
  for (let folder = start; ; folder = dirname(folder)) {
    yield join(folder, 'scripts', 'kafka', 'client');
    yield folder;
    if (folder === dirname(folder)) return;
  }
}

/** Throws FAILED_PRECONDITION, with the command that installs it, when the client is not there. */
export async function loadKafkaClient(start = HERE): Promise<KafkaClient> {
  for (const place of placesFrom(start)) {
    const path = join(place, PACKAGE);
    if (existsSync(path)) return (await import(pathToFileURL(path).href)) as KafkaClient;
  }
  throw new TallyringError(
    'FAILED_PRECONDITION',
    "the log is on Kafka, and Kafka's client is not installed: run scripts/kafka/install " +
      '(or: npm install @platformatic/kafka@1.35.0)',
  );
}
