import type { RegisterOperation } from '../register-owners.js';
import { getOrMake } from './grouping.js';
import type { Violation } from './violation.js';

/** (epoch, write) as one number that compares. */
type Version = readonly [epoch: number, write: number];

const isAfter = (a: Version, b: Version): boolean => a[0] > b[0] || (a[0] === b[0] && a[1] > b[1]);

/**
 * One owner acts at a time, and what it was told to stand stands:
 * - an epoch is acquired once;
 * - a version has one value, whoever saw it;
 * - a write that was confirmed is part of what every later epoch took over, whenever it was confirmed: so a
 *   fenced owner's write can never be confirmed beside its successor's;
 * - a read shows nothing older than what was confirmed, or read, before it began.
 */
export function checkRegisters(operations: readonly RegisterOperation[]): Violation[] {
  const violations: Violation[] = [];
  const report = (check: string, detail: string) => violations.push({ check, detail });
  for (const [name, all] of byName(operations)) {
    checkEpochs(name, all, report);
    checkVersions(name, all, report);
    checkTakeovers(name, all, report);
    checkReads(name, all, report);
  }
  return violations;
}

type Report = (check: string, detail: string) => void;

function checkEpochs(name: string, operations: readonly RegisterOperation[], report: Report): void {
  const owners = new Map<number, string>();
  for (const { kind, outcome, record, client } of operations) {
    if (kind !== 'acquire' || outcome !== 'done') continue;
    const owner = owners.get(record!.epoch);
    if (owner !== undefined)
      report('one owner an epoch', `${name}: epoch ${record!.epoch} is ${owner}'s and ${client}'s`);
    owners.set(record!.epoch, client);
  }
}

/** Values by version: those written, taken over and read. */
function checkVersions(name: string, operations: readonly RegisterOperation[], report: Report): void {
  const values = new Map<string, string>();
  for (const { record } of operations) {
    if (record === undefined) continue;
    const version = `${record.epoch}.${record.write}`;
    const value = String(record.value);
    const known = getOrMake(values, version, () => value);
    if (known !== value) report('one value a version', `${name} ${version} is ${known} and ${value}`);
  }
}

/** The version at which a value was written first: values are unlike each other, and travel from epoch to epoch. */
function originsOf(operations: readonly RegisterOperation[]): Map<string, Version> {
  const origins = new Map<string, Version>([['null', [0, 0]]]);
  for (const { kind, record } of operations) {
    if (kind === 'write') origins.set(String(record!.value), [record!.epoch, record!.write]);
  }
  return origins;
}

function checkTakeovers(name: string, operations: readonly RegisterOperation[], report: Report): void {
  const origins = originsOf(operations);
  const confirmed = operations.filter(({ kind, outcome }) => kind === 'write' && outcome === 'done');
  for (const { kind, outcome, record, client } of operations) {
    if (kind !== 'acquire' || outcome !== 'done') continue;
    const origin = origins.get(String(record!.value));
    if (origin === undefined) {
      report('values were written', `${name}: ${client} took over ${record!.value}, which nobody wrote`);
      continue;
    }
    for (const write of confirmed) {
      const version: Version = [write.record!.epoch, write.record!.write];
      if (version[0] >= record!.epoch || !isAfter(version, origin)) continue;
      report(
        'confirmed writes are taken over',
        `${name}: epoch ${record!.epoch} of ${client} took over ${origin.join('.')} (${record!.value}), though ` +
          `${write.client}'s ${version.join('.')} (${write.record!.value}) was confirmed`,
      );
    }
  }
}

/** Origins of what operations saw or confirmed; a read shows none older than those that ended before it began. */
function checkReads(name: string, operations: readonly RegisterOperation[], report: Report): void {
  const origins = originsOf(operations);
  const originOf = ({ record }: RegisterOperation): Version =>
    origins.get(String(record?.value ?? null)) ?? [0, 0];
  const done = operations.filter(({ outcome }) => outcome === 'done');
  for (const read of done) {
    if (read.kind !== 'read') continue;
    const seen = originOf(read);
    const newer = done.find((other) => other.ended! < read.began && isAfter(originOf(other), seen));
    if (newer === undefined) continue;
    report(
      'register reads never go backwards',
      `${name}: ${read.client} read ${seen.join('.')} after ${newer.client}'s ${newer.kind} of ${originOf(newer).join('.')}`,
    );
  }
}

function byName(operations: readonly RegisterOperation[]): Map<string, RegisterOperation[]> {
  const grouped = new Map<string, RegisterOperation[]>();
  for (const operation of operations) {
    getOrMake(grouped, operation.name, () => [] as RegisterOperation[]).push(operation);
  }
  return grouped;
}
