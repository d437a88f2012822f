import type { CallOptions } from '../../../../proto/calls.js';
import type { AppendedRun, EventLog, PartitionAppend } from '../../../../services/log/log.js';

type AppendAnswer = (appends: readonly PartitionAppend[], options: CallOptions) => Promise<void>;

/** A log that keeps what is appended, after `answer` has had its say about each append. */
export class FakeLog implements Pick<EventLog, 'append' | 'description'> {
  readonly description = { logId: 'fake', partitions: 4 };
  readonly appends: (readonly PartitionAppend[])[] = [];
  readonly timeouts: number[] = [];
  readonly partitions = new Map<number, Buffer[]>();
  answer: AppendAnswer = async () => {};

  async append(appends: readonly PartitionAppend[], options: CallOptions): Promise<AppendedRun[]> {
    this.timeouts.push(options.timeoutMs);
    await this.answer(appends, options);
    this.appends.push(appends);
    return appends.map(({ partition, records }) => {
      const held = this.partitions.get(partition) ?? [];
      this.partitions.set(partition, held);
      const firstOffset = held.length;
      held.push(...records);
      return { partition, firstOffset };
    });
  }

  get records(): Buffer[] {
    return [...this.partitions.values()].flat();
  }
}
