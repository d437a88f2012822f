import { parentPort, workerData } from 'node:worker_threads';
import { scheduleOfProfile } from '../profile-schedules.js';
import { PROFILES, type ProfileName } from '../profiles.js';
import { runSeed } from '../scenario.js';

/** Seeds to run until one finds something. */
export interface Hunt {
  profile: ProfileName;
  from: number;
  within: number;
  /** Only what these checks find counts. */
  by?: readonly string[];
}

/** What was found, and at which seed. */
export interface Find {
  seed: number;
  check: string;
  detail: string;
}

async function hunt({ profile, from, within, by }: Hunt): Promise<Find | undefined> {
  const schedule = scheduleOfProfile(profile);
  for (let seed = from; seed < from + within; seed++) {
    const { violations } = await runSeed(seed, { adjust: PROFILES[profile], ...(schedule && { schedule }) });
    const first = violations.find(({ check }) => by === undefined || by.includes(check));
    if (first !== undefined) return { seed, ...first };
  }
  return undefined;
}

parentPort?.postMessage(await hunt(workerData as Hunt));
