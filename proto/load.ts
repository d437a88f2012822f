import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadSync, type MethodDefinition, type PackageDefinition } from '@grpc/proto-loader';
import { protoPath as healthProto } from 'grpc-health-check';
import { TallyringError } from './errors.js';
import type * as wire from './messages.js';
import { type Descriptor, shapeOf, wireFault } from './wire-check.js';

/** A message that did not decode. Passed on as a value: a throw inside grpc-js would end a whole stream. */
export class Malformed {
  readonly error: TallyringError;

  constructor(error: TallyringError) {
    this.error = error;
  }
}

/** One RPC: its path, and how its messages become bytes. Every decoded message was checked (wire-check.ts). */
export interface Method<Request, Reply> {
  path: string;
  requestStream: boolean;
  responseStream: boolean;
  requestSerialize(request: Request): Buffer;
  requestDeserialize(bytes: Buffer): Request | Malformed;
  responseSerialize(reply: Reply): Buffer;
  responseDeserialize(bytes: Buffer): Reply | Malformed;
}

type Empty = Record<string, never>;

/** The service tallyring.v1.Counter. */
export interface CounterService {
  Increment: Method<wire.WireIncrementRequest, Empty>;
  BatchIncrement: Method<wire.WireBatchIncrementRequest, wire.WireBatchIncrementReply>;
  Get: Method<wire.WireGetRequest, wire.WireGetReply>;
  GetMany: Method<wire.WireGetManyRequest, wire.WireGetManyReply>;
  Stats: Method<wire.WireStatsRequest, wire.WireStatsReply>;
  StatsMany: Method<wire.WireStatsManyRequest, wire.WireStatsManyReply>;
  Shards: Method<wire.WireShardsRequest, wire.WireShardsReply>;
  Columns: Method<wire.WireColumnsRequest, wire.WireColumnsReply>;
  Describe: Method<Empty, wire.WireDescribeReply>;
  MintProducer: Method<wire.WireMintProducerRequest, wire.WireMintProducerReply>;
  Flush: Method<wire.WireFlushRequest, wire.WireFlushReply>;
  Query: Method<wire.WireQueryRequest, wire.WireQueryReply>;
}

/** The service tallyring.v1.Register. */
export interface RegisterService {
  Acquire: Method<wire.WireAcquireRegisterRequest, wire.WireRegisterRecord>;
  Write: Method<wire.WireWriteRegisterRequest, Empty>;
  Read: Method<wire.WireReadRegisterRequest, wire.WireReadRegisterReply>;
}

/** The service tallyring.v1.Operator. */
export interface OperatorService {
  Report: Method<Empty, wire.WireReportReply>;
  EndpointsOf: Method<wire.WireEndpointsOfRequest, wire.WireEndpointsOfReply>;
  GetLocal: Method<wire.WireGetLocalRequest, wire.WireGetManyReply>;
  ScanLocal: Method<wire.WireScanLocalRequest, wire.WireScanLocalReply>;
}

/** The service tallyring.peer.v1.Peer. */
export interface PeerService {
  Exchange: Method<wire.WirePeerFrame, wire.WirePeerFrame>;
}

export const COUNTER_SERVICE = 'tallyring.v1.Counter';
export const REGISTER_SERVICE = 'tallyring.v1.Register';
export const OPERATOR_SERVICE = 'tallyring.v1.Operator';
export const PEER_SERVICE = 'tallyring.peer.v1.Peer';

/** The protos lie beside this file, in proto/ as in dist/proto/. */
const folder = dirname(fileURLToPath(import.meta.url));

const NODE_PROTOS = ['counter.proto', 'peer.proto'];

function load(protos: string[], keepCase: boolean): PackageDefinition {
  return loadSync(protos, {
    includeDirs: [folder],
    keepCase,
    longs: String,
    enums: String,
    defaults: true,
    oneofs: true,
  });
}

const definitions = load([...NODE_PROTOS, 'log.proto'], false);

function checked<T>(packageName: string, type: object, deserialize: (bytes: Buffer) => T) {
  const shape = shapeOf(type as Descriptor, (name) => {
    const found = definitions[`${packageName}.${name}`];
    return found && 'type' in found ? (found.type as Descriptor) : undefined;
  });
  const malformed = (fault: string) =>
    new Malformed(new TallyringError('INVALID_ARGUMENT', `malformed message: ${fault}`));
  return (bytes: Buffer): T | Malformed => {
    const fault = wireFault(shape, bytes);
    if (fault !== undefined) return malformed(fault);
    try {
      return deserialize(bytes);
    } catch (error) {
      // protobufjs does not take every varint that protobuf allows, e.g. a small number in six bytes at the end.
      return malformed((error as Error).message);
    }
  };
}

/** A service by its full name. */
export function serviceOf<S>(name: string): S {
  const packageName = name.slice(0, name.lastIndexOf('.'));
  const methods = definitions[name] as Record<string, MethodDefinition<object, object>>;
  const service: Record<string, Method<object, object>> = {};
  for (const [method, definition] of Object.entries(methods)) {
    const { requestType, responseType } = definition;
    service[method] = {
      ...definition,
      requestDeserialize: checked(packageName, requestType.type, definition.requestDeserialize),
      responseDeserialize: checked(packageName, responseType.type, definition.responseDeserialize),
    };
  }
  return service as S;
}

export const counterService = serviceOf<CounterService>(COUNTER_SERVICE);
export const registerService = serviceOf<RegisterService>(REGISTER_SERVICE);
export const operatorService = serviceOf<OperatorService>(OPERATOR_SERVICE);
export const peerService = serviceOf<PeerService>(PEER_SERVICE);

/** The packages as written in the protos, gRPC's health among them, for server reflection. */
export function reflectedPackages(protos = NODE_PROTOS): PackageDefinition {
  return { ...load(protos, true), ...loadSync(healthProto, { keepCase: true }) };
}
