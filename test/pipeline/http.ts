/** What a drill asks of the services: plain HTTP, as any caller. */

export interface Answer {
  status: number;
  // biome-ignore lint/suspicious/noExplicitAny: whatever JSON the service answers; the drills compare it.
  body: any;
}

const LOOK_MS = 1_000;

/** Rejects when no answer comes. */
export async function requestJson(url: string, init: RequestInit & { timeoutMs: number }): Promise<Answer> {
  const { timeoutMs, ...rest } = init;
  const response = await fetch(url, { ...rest, signal: AbortSignal.timeout(timeoutMs) });
  return { status: response.status, body: await response.json() };
}

/** Undefined when no answer comes soon. */
export async function getJson(url: string, timeoutMs = LOOK_MS): Promise<Answer | undefined> {
  return requestJson(url, { timeoutMs }).catch(() => undefined);
}

export async function getText(url: string): Promise<string | undefined> {
  try {
    return await (await fetch(url, { signal: AbortSignal.timeout(LOOK_MS) })).text();
  } catch {
    return undefined;
  }
}
