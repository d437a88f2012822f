import type { SimNetwork } from './network.js';
import type { SimProcess } from './process.js';

const RECONNECT_MS = 500;

/** Connections of one process: noticed refusals and resets, and the reconnecting in the background. */
export class Connections {
  readonly #network: SimNetwork;
  readonly #from: SimProcess;
  readonly #broken = new Set<string>();

  constructor(network: SimNetwork, from: SimProcess) {
    this.#network = network;
    this.#from = from;
  }

  isConnected(to: string): boolean {
    return !this.#broken.has(to);
  }

  succeeded(to: string): void {
    this.#broken.delete(to);
  }

  broke(to: string): void {
    if (this.#broken.has(to)) return;
    this.#broken.add(to);
    this.#retry(to);
  }

  #retry(to: string): void {
    this.#from.after(RECONNECT_MS, () => {
      if (!this.#broken.has(to)) return;
      if (this.#network.accepts(this.#from.name, to)) this.#broken.delete(to);
      else this.#retry(to);
    });
  }
}
