/** A node's place: what the ring needs to know of it. */
export interface RingNode {
  nodeId: string;
  datacenter: string;
  rack: string;
}

/** The distinct nodes that replicate a token, in preference order. Equal lists are one object with one index. */
export interface ReplicaSet {
  index: number;
  nodeIds: readonly string[];
}

/** Who owns what: an immutable value. Epoch 1 is exactly the nodes of cluster.yml. */
export interface Ring {
  readonly epoch: number;
  readonly nodes: readonly RingNode[];
  readonly vnodes: number;
  /** Replicas per datacenter. */
  readonly replication: Readonly<Record<string, number>>;
  /** All distinct preference lists, by index. */
  readonly replicaSets: readonly ReplicaSet[];
  replicasOf(token: bigint): ReplicaSet;
}
