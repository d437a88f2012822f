import { LinkProxy } from './proxy.js';

/** How a cut looks to those who are cut off from each other. */
export type CutManner = 'refuse' | 'hold' | 'swallow';
export const CUT_MANNERS: readonly CutManner[] = ['refuse', 'hold', 'swallow'];

/** The way from every node to every other one, each through a proxy. */
export class Links {
  readonly #proxies = new Map<string, LinkProxy>();

  /** `ports`: of the nodes. The proxies take the ports from `firstPort` on. */
  constructor(ports: ReadonlyMap<string, number>, firstPort: number) {
    let next = firstPort;
    for (const from of ports.keys()) {
      for (const [to, port] of ports)
        if (from !== to) this.#proxies.set(`${from}>${to}`, new LinkProxy(next++, port));
    }
  }

  async listen(): Promise<void> {
    await Promise.all([...this.#proxies.values()].map((proxy) => proxy.listen()));
  }

  /** Where `from` finds `to`. */
  portFor(from: string, to: string): number {
    return this.#between(from, to).port;
  }

  /** Both ways. The returned function ends it. */
  cut(a: string, b: string, manner: CutManner): () => Promise<void> {
    const proxies = [this.#between(a, b), this.#between(b, a)];
    for (const proxy of proxies) {
      if (manner === 'refuse') proxy.refuse();
      else proxy.forth.flow = proxy.back.flow = manner;
      proxy.applied();
    }
    return async () => {
      for (const proxy of proxies) {
        proxy.forth.flow = proxy.back.flow = 'open';
        proxy.applied();
        await proxy.listen();
      }
    };
  }

  /** What `from` sends does not reach `to`: neither its requests nor its answers. */
  cutOneWay(from: string, to: string, manner: Exclude<CutManner, 'refuse'>): () => Promise<void> {
    const [there, back] = [this.#between(from, to), this.#between(to, from)];
    const set = async (flow: 'open' | typeof manner) => {
      there.forth.flow = flow;
      back.back.flow = flow;
      there.applied();
      back.applied();
    };
    void set(manner);
    return () => set('open');
  }

  /** What the two send to each other takes longer. */
  slow(a: string, b: string, delayMs: number): () => Promise<void> {
    const proxies = [this.#between(a, b), this.#between(b, a)];
    const set = async (ms: number) => {
      for (const proxy of proxies) proxy.forth.delayMs = proxy.back.delayMs = ms;
    };
    void set(delayMs);
    return () => set(0);
  }

  close(): void {
    for (const proxy of this.#proxies.values()) proxy.refuse();
  }

  #between(from: string, to: string): LinkProxy {
    const proxy = this.#proxies.get(`${from}>${to}`);
    if (proxy === undefined) throw new Error(`there is no way from ${from} to ${to}`);
    return proxy;
  }
}
