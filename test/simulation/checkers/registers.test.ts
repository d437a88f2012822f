import { describe, expect, it } from 'vitest';
import type { RegisterOperation } from '../register-owners.js';
import { checkRegisters } from './registers.js';

type Kind = RegisterOperation['kind'];
type Outcome = RegisterOperation['outcome'];

/** `1.2 x`: version and value; nothing for a register that was never acquired. */
function operation(kind: Kind, told: string, [began, ended]: [number, number], outcome: Outcome = 'done') {
  const [version, value] = told.split(' ');
  const [epoch, write] = (version ?? '').split('.').map(Number);
  return {
    client: `client-${began}`,
    kind,
    name: 'r',
    began,
    ended,
    outcome,
    ...(told !== '' && {
      record: {
        epoch: epoch!,
        write: write!,
        quorum: [],
        value: value === undefined ? null : Buffer.from(value),
      },
    }),
  } satisfies RegisterOperation;
}
const acquire = (told: string, at: [number, number], outcome?: Outcome) =>
  operation('acquire', told, at, outcome);
const write = (told: string, at: [number, number], outcome?: Outcome) =>
  operation('write', told, at, outcome);
const read = (told: string, at: [number, number], outcome?: Outcome) => operation('read', told, at, outcome);
const found = (...operations: RegisterOperation[]) => checkRegisters(operations).map(({ check }) => check);

const FIRST = [acquire('1.1', [0, 1]), write('1.2 x', [2, 3])];

describe('the checker of registers', () => {
  it('finds nothing in what is right: takeovers, writes in doubt that show or do not, reads beside writes', () => {
    expect(
      found(
        read('', [-2, -1]),
        ...FIRST,
        write('1.3 y', [4, 9], 'failed'),
        read('1.3 y', [5, 6]),
        acquire('4.1 y', [7, 10]),
        write('1.4 z', [8, 12], 'fenced'),
        read('4.1 y', [11, 13]),
        write('4.2 w', [14, 17]),
        read('4.1 y', [15, 16]),
        read('4.2 w', [15, 18]),
      ),
    ).toEqual([]);
    expect(found(...FIRST, write('1.3 y', [4, 5], 'fenced'), acquire('2.1 x', [6, 7]))).toEqual([]);
    // A reader that took over shows the value under an epoch of its own.
    expect(found(...FIRST, read('5.1 x', [4, 5]), acquire('6.1 x', [6, 7]))).toEqual([]);
  });

  it('an epoch has one owner', () => {
    expect(found(...FIRST, acquire('1.1', [0, 1]))).toContain('one owner an epoch');
  });

  it('a version has one value, whoever saw it', () => {
    expect(found(...FIRST, read('1.2 y', [4, 5]))).toContain('one value a version');
    expect(found(...FIRST, write('1.2 y', [4, 5], 'failed'))).toContain('one value a version');
  });

  it('what is taken over was written', () => {
    expect(found(...FIRST, acquire('2.1 never', [4, 5]))).toContain('values were written');
  });

  it('a confirmed write is taken over, even one that was confirmed after its successor had acquired', () => {
    expect(found(...FIRST, acquire('2.1', [4, 5]))).toContain('confirmed writes are taken over');
    const zombie = write('1.3 y', [2, 20]);
    expect(found(...FIRST, acquire('2.1 x', [4, 5]), zombie)).toContain('confirmed writes are taken over');
    expect(found(...FIRST, acquire('2.1 x', [4, 5]), { ...zombie, outcome: 'fenced' })).toEqual([]);
  });

  it('what was confirmed, read or taken over is seen from then on, by readers and by owners', () => {
    const check = 'register reads never go backwards';
    const doubtful = write('1.3 y', [4, 5], 'failed');
    expect(found(...FIRST, read('1.1', [4, 5]))).toContain(check);
    expect(found(...FIRST, read('', [4, 5]))).toContain(check);
    expect(found(...FIRST, doubtful, read('1.3 y', [6, 7]), read('1.2 x', [8, 9]))).toContain(check);
    expect(found(...FIRST, doubtful, read('1.3 y', [6, 7]), acquire('2.1 x', [8, 9]))).toContain(check);
    expect(found(...FIRST, doubtful, acquire('3.1 y', [6, 7]), read('1.2 x', [8, 9]))).toContain(check);
    expect(found(...FIRST, doubtful, read('1.3 y', [6, 9]), read('1.2 x', [8, 10]))).toEqual([]); // side by side
  });
});
