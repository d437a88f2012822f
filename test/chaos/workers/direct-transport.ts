import { grpcTransport } from '../../../client/transport/grpc.js';
import type { ClientTransport } from '../../../client/transport.js';

/**
 * gRPC, to the nodes themselves: each node knows the others by the addresses of its own proxies, which are
 * no business of clients.
 */
export function directTransport(addresses: Readonly<Record<string, string>>): ClientTransport {
  const transport = grpcTransport();
  return {
    connect(address) {
      const connection = transport.connect(address);
      return {
        ...connection,
        async describe(options) {
          const description = await connection.describe(options);
          const nodes = description.nodes.map((node) => {
            const [host = node.host, port = node.port] = (addresses[node.nodeId] ?? '').split(/:(?=\d+$)/);
            return addresses[node.nodeId] === undefined ? node : { ...node, host, port: Number(port) };
          });
          return { ...description, nodes };
        },
      };
    },
  };
}
