import type { ClusterDescription, EndpointReport, NodeReport } from './calls.js';
import { granularityFromWire, granularityToWire, safeFromWire, safeToWire, uint32ToWire } from './convert.js';
import { TallyringError } from './errors.js';
import type * as wire from './messages.js';

/** As convert.ts, for what describes a cluster and its nodes. */

export function descriptionToWire(description: ClusterDescription): wire.WireDescribeReply {
  return {
    ...description,
    ringEpoch: safeToWire('ringEpoch', description.ringEpoch),
    replication: Object.entries(description.replication).map(([datacenter, replicas]) => ({
      datacenter,
      replicas: uint32ToWire('replicas', replicas),
    })),
    maxBatchBytes: uint32ToWire('maxBatchBytes', description.maxBatchBytes),
    rollups: description.rollups.map(granularityToWire),
  };
}

export function descriptionFromWire(reply: wire.WireDescribeReply): ClusterDescription {
  const rollups: ClusterDescription['rollups'] = [];
  for (const rollup of reply.rollups) rollups.push(granularityFromWire(rollup) ?? 'total');
  return {
    cluster: reply.cluster,
    ringEpoch: safeFromWire('ring_epoch', reply.ringEpoch),
    vnodes: reply.vnodes,
    replication: Object.fromEntries(reply.replication.map((one) => [one.datacenter, one.replicas])),
    rollups,
    nodes: reply.nodes.map((node) => ({ ...node })),
    nodeId: reply.nodeId,
    maxBatchBytes: reply.maxBatchBytes,
  };
}

function endpointToWire(endpoint: EndpointReport): wire.WireReportReply['endpoints'][number] {
  const facts = Object.entries(endpoint.facts).map(([name, value]) =>
    typeof value === 'string' ? { name, text: value } : { name, number: value },
  );
  return {
    ...endpoint,
    generation: safeToWire('generation', endpoint.generation),
    heartbeat: safeToWire('heartbeat', endpoint.heartbeat),
    facts,
  };
}

function endpointFromWire(endpoint: wire.WireReportReply['endpoints'][number]): EndpointReport {
  const { nodeId, up, convicted, phi } = endpoint;
  return {
    nodeId,
    up,
    convicted,
    phi,
    generation: safeFromWire('generation', endpoint.generation),
    heartbeat: safeFromWire('heartbeat', endpoint.heartbeat),
    facts: Object.fromEntries(endpoint.facts.map(({ name, text, number }) => [name, text ?? number ?? ''])),
  };
}

export function reportToWire(report: NodeReport): wire.WireReportReply {
  return {
    ...report,
    syncedBatch: safeToWire('syncedBatch', report.syncedBatch),
    entries: safeToWire('entries', report.entries),
    ringEpoch: safeToWire('ringEpoch', report.ringEpoch),
    uptimeMs: safeToWire('uptimeMs', Math.round(report.uptimeMs)),
    memoryBytes: safeToWire('memoryBytes', report.memoryBytes),
    hints: Object.entries(report.hints).map(([nodeId, hints]) => ({
      nodeId,
      hints: safeToWire('hints', hints),
    })),
    endpoints: report.endpoints.map(endpointToWire),
    ownership: Object.entries(report.ownership).map(([nodeId, share]) => ({ nodeId, share })),
    ring: descriptionToWire(report.ring),
  };
}

const STORE_STATES: readonly NodeReport['storeState'][] = ['ok', 'failed', 'opening'];

export function reportFromWire(reply: wire.WireReportReply): NodeReport {
  const storeState = STORE_STATES.find((state) => state === reply.storeState);
  if (storeState === undefined || !reply.ring) {
    throw new TallyringError('INVALID_ARGUMENT', 'malformed report: no store state or no ring');
  }
  return {
    nodeId: reply.nodeId,
    cluster: reply.cluster,
    version: reply.version,
    status: reply.status,
    waitsFor: reply.waitsFor,
    storeId: reply.storeId,
    storeState,
    syncedBatch: safeFromWire('synced_batch', reply.syncedBatch),
    entries: safeFromWire('entries', reply.entries),
    ringEpoch: safeFromWire('ring_epoch', reply.ringEpoch),
    uptimeMs: safeFromWire('uptime_ms', reply.uptimeMs),
    memoryBytes: safeFromWire('memory_bytes', reply.memoryBytes),
    hints: Object.fromEntries(reply.hints.map(({ nodeId, hints }) => [nodeId, safeFromWire('hints', hints)])),
    damagedRows: reply.damagedRows,
    endpoints: reply.endpoints.map(endpointFromWire),
    ownership: Object.fromEntries(reply.ownership.map(({ nodeId, share }) => [nodeId, share])),
    ring: descriptionFromWire(reply.ring),
  };
}
