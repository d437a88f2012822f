import { type ChannelOptions, logVerbosity, type ServiceDefinition, setLogVerbosity } from '@grpc/grpc-js';

/** Settings that both ends of every connection share. */

/** What surrounds a batch of `limits.maxBatchBytes` in one message. */
export const MESSAGE_SLACK_BYTES = 1024 * 1024;

/** A peer that froze, or whose network went away without a word, is noticed after the sum of the two. */
const KEEPALIVE = { 'grpc.keepalive_time_ms': 5_000, 'grpc.keepalive_timeout_ms': 3_000 };

// grpc-js prints to stderr what also comes back as an error.
setLogVerbosity(logVerbosity.NONE);

/**
 * @param options.maxReceiveBytes greatest message that is taken; -1: any.
 */
export function channelOptions(options: { maxReceiveBytes: number }): ChannelOptions {
  return {
    ...KEEPALIVE,
    'grpc.keepalive_permit_without_calls': 1,
    // Who may retry what is decided by tallyring, not by gRPC.
    'grpc.enable_retries': 0,
    'grpc.service_config_disable_resolution': 1,
    'grpc.initial_reconnect_backoff_ms': 100,
    'grpc.max_reconnect_backoff_ms': 1_000,
    // A connection of its own: two links to one address must not share one socket's fate.
    'grpc.use_local_subchannel_pool': 1,
    'grpc.enable_http_proxy': 0,
    'grpc.enable_channelz': 0,
    // HTTP/2's 64 KiB would make a batch wait for several round trips.
    'grpc-node.flow_control_window': 4 * 1024 * 1024,
    'grpc.max_send_message_length': -1,
    'grpc.max_receive_message_length': options.maxReceiveBytes,
  };
}

export function serverOptions(options: { maxReceiveBytes: number }): ChannelOptions {
  return {
    ...KEEPALIVE,
    'grpc.enable_channelz': 0,
    'grpc.max_send_message_length': -1,
    'grpc.max_receive_message_length': options.maxReceiveBytes,
  };
}

/** `host:port` as gRPC wants it: an IPv6 address in brackets. */
export function grpcAddress(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** A service as grpc-js takes it. */
export function asServiceDefinition(service: object): ServiceDefinition {
  return service as ServiceDefinition;
}
