import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { levelToWire } from '../../../proto/convert.js';
import { LEVELS } from '../../../proto/level.js';
import { counterService, Malformed, operatorService, peerService } from '../../../proto/load.js';
import { logService } from '../../../proto/log-service.js';
import { PEER_KINDS } from '../../../proto/peer-message.js';

const source = (name: string) => readFileSync(new URL(`../../../proto/${name}`, import.meta.url), 'utf8');

describe('the protos', () => {
  it('have the methods that the hand-written types name, and no others', () => {
    const names = (service: object) => Object.keys(service).sort();
    expect(names(counterService)).toEqual(
      'BatchIncrement Columns Describe Flush Get GetMany Increment MintProducer Query Shards Stats StatsMany'.split(
        ' ',
      ),
    );
    expect(names(operatorService)).toEqual(['EndpointsOf', 'GetLocal', 'Report', 'ScanLocal']);
    expect(names(peerService)).toEqual(['Exchange']);
    expect(names(logService)).toEqual(
      'Append Bounds Describe ListDeadLetters MarkDeadLetter PutDeadLetters Read Release'.split(' '),
    );
  });

  it('know every consistency level', () => {
    for (const level of LEVELS) {
      const bytes = counterService.Get.requestSerialize({
        key: '',
        eventType: '',
        granularity: 0,
        consistency: levelToWire(level),
      });
      const back = counterService.Get.requestDeserialize(bytes);
      expect(back instanceof Malformed ? back : back.consistency).toBe(levelToWire(level));
    }
  });

  it('leave optional fields absent and fill the others, as the types say', () => {
    expect(counterService.Get.responseDeserialize(Buffer.from([0x0a, 0]))).toEqual({
      value: { count: '0', sum: '0' },
    });
    expect(peerService.Exchange.requestDeserialize(Buffer.alloc(0))).toEqual({
      id: 0,
      kind: '',
      timeoutMs: 0,
      body: Buffer.alloc(0),
    });
  });

  it('have no imports, so that reflection can hand them out', () => {
    for (const name of ['counter.proto', 'peer.proto', 'log.proto'])
      expect(source(name)).not.toMatch(/^import /m);
  });

  it('document every kind of peer message', () => {
    for (const kind of PEER_KINDS) expect(source('peer.proto')).toMatch(new RegExp(`^//   ${kind} `, 'm'));
  });
});
