import { describe, expect, it } from 'vitest';
import { busyNote, type PlanRequest, planRun } from '../../../bench/plan.js';

const plan = (request: Partial<PlanRequest>) =>
  planRun({ own: ['cells', 'reads'], peers: [], only: [], missingForRedis: () => undefined, ...request });

describe('planRun', () => {
  it('takes Redis along when it is there', () => {
    expect(plan({})).toEqual({ names: ['cells', 'reads', 'redis'], notes: [] });
  });
  it('says what is missing when it is not', () => {
    const { names, notes } = plan({ missingForRedis: () => 'redis-server is not installed' });
    expect(names).toEqual(['cells', 'reads']);
    expect(notes).toEqual(['Redis is left out: redis-server is not installed']);
  });
  it('takes exactly the peers that are named, even one that is missing', () => {
    expect(plan({ peers: ['cassandra'] }).names).toEqual(['cells', 'reads', 'cassandra']);
    const missingForRedis = () => 'missing';
    expect(plan({ peers: ['redis'], missingForRedis }).names).toEqual(['cells', 'reads', 'redis']);
    expect(plan({ peers: ['none'] }).names).toEqual(['cells', 'reads']);
  });
  it('runs only what is asked for, in the usual order', () => {
    expect(plan({ only: ['redis', 'cells'] }).names).toEqual(['cells', 'redis']);
  });
  it('refuses an unknown name with the known ones, and none beside a peer', () => {
    expect(() => plan({ only: ['cell'] })).toThrow('there are: cells, reads, redis, cassandra');
    expect(() => plan({ peers: ['none', 'redis'] })).toThrow('--peer none');
  });
});

describe('busyNote', () => {
  it('warns of a machine that has other work, and of no other', () => {
    expect(busyNote(13.45, 2)).toContain('load 13.4');
    expect(busyNote(1.01, 2)).toContain('do not trust');
    expect(busyNote(1, 2)).toBeUndefined();
    expect(busyNote(3, 8)).toBeUndefined();
  });
});
