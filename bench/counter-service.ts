import { fileURLToPath } from 'node:url';
import type { MethodDefinition } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';

export interface PlainIncrement {
  key: string;
  eventType: string;
  value: string;
}

export interface PlainGet {
  key: string;
  eventType: string;
}

export interface PlainValue {
  value: { count: string } | null;
}

interface CounterMethods {
  Increment: MethodDefinition<PlainIncrement, object>;
  Get: MethodDefinition<PlainGet, PlainValue>;
}

/**
 * The public service as a program in any language would call it, not through the SDK. The echo answers Increment
 * with the same messages, so that both sides of the comparison parse and serialize the same.
 */
export function counterMethods(): CounterMethods {
  const file = fileURLToPath(new URL('../proto/counter.proto', import.meta.url));
  const service = loadSync(file, { longs: String, defaults: true })['tallyring.v1.Counter'];
  if (!service) throw new Error('counter.proto has no service tallyring.v1.Counter');
  return service as unknown as CounterMethods;
}
