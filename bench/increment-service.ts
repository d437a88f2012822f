import { fileURLToPath } from 'node:url';
import type { MethodDefinition } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';

export interface PlainIncrement {
  key: string;
  eventType: string;
  value: string;
}

/**
 * The method Increment of the public service, with its own messages: the echo answers the very same calls, so
 * that both sides of the comparison parse and serialize the same.
 */
export function incrementMethod(): MethodDefinition<PlainIncrement, object> {
  const file = fileURLToPath(new URL('../proto/counter.proto', import.meta.url));
  for (const definition of Object.values(loadSync(file, { longs: String, defaults: true }))) {
    const method = (definition as Record<string, unknown>).Increment;
    if (method) return method as MethodDefinition<PlainIncrement, object>;
  }
  throw new Error('counter.proto has no method Increment');
}
