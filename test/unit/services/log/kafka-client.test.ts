import { tmpdir } from 'node:os';
import { describe, expect, it } from 'vitest';
import { loadKafkaClient } from '../../../../services/log/kafka/client.js';
import { fromKafkaError } from '../../../../services/log/kafka/errors.js';
import { rejection } from '../../../conformance/log/log-conformance.js';

describe("Kafka's client", () => {
  it('names the command that installs it when it is missing', async () => {
    expect(await rejection(loadKafkaClient(tmpdir()))).toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringMatching(/run scripts\/kafka\/install/),
    });
  });

  const refused = { message: 'Connection to 127.0.0.1:1 failed.', cause: { code: 'ECONNREFUSED' } };
  const cut = { message: 'Connection closed' };
  const answered = (apiId: string) => ({ message: 'x', apiId });
  const cases: [name: string, errors: object[], parts: number, expected: object][] = [
    ['no connection', [refused], 3, { code: 'UNAVAILABLE', mayHaveApplied: false, retryable: true }],
    ['cut off', [cut], 1, { code: 'UNAVAILABLE', mayHaveApplied: true, retryable: false }],
    ['one broker refused the connection, another cut it', [refused, cut], 2, { mayHaveApplied: true }],
    [
      'another leader',
      [answered('NOT_LEADER_OR_FOLLOWER')],
      1,
      { code: 'UNAVAILABLE', mayHaveApplied: false },
    ],
    ['another leader for one of two', [answered('NOT_LEADER_OR_FOLLOWER')], 2, { mayHaveApplied: true }],
    [
      'too few replicas',
      [answered('NOT_ENOUGH_REPLICAS')],
      1,
      { code: 'UNAVAILABLE', mayHaveApplied: false },
    ],
    [
      'too few replicas in the end',
      [answered('NOT_ENOUGH_REPLICAS_AFTER_APPEND')],
      1,
      { code: 'WRITE_TIMEOUT', mayHaveApplied: true, retryable: false },
    ],
    ['too large', [answered('MESSAGE_TOO_LARGE')], 1, { code: 'INVALID_ARGUMENT', mayHaveApplied: false }],
    ['not allowed', [answered('TOPIC_AUTHORIZATION_FAILED')], 1, { code: 'FAILED_PRECONDITION' }],
  ];
  it.each(cases)('says what is known after an append: %s', (_, errors, parts, expected) => {
    const thrown = Object.assign(new Error('Producing messages failed.'), {
      errors: [{ message: 'y', errors }],
    });
    expect(fromKafkaError(thrown, { writes: true, parts })).toMatchObject(expected);
  });
});
