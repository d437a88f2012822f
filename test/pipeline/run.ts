import type { Finding } from '../chaos/drills/drill.js';
import { SeededRandom } from '../simulation/seeded-random.js';
import type { PipelineDrill } from './drills/drill.js';
import type { LogKind } from './logs/drill-log.js';
import { Pipeline } from './pipeline.js';

export interface RunDrillOptions {
  seconds: number;
  seed: string;
  log: LogKind;
  say(line: string): void;
}

/** One drill on a pipeline of its own; everything is killed in the end, and the folder kept when the drill failed. */
export async function runDrill(drill: PipelineDrill, options: RunDrillOptions): Promise<Finding[]> {
  const { seconds, seed, log, say } = options;
  const random = new SeededRandom(`${seed}/${drill.name}`);
  const pipeline = await Pipeline.make({ instances: drill.instances, log, settings: drill.settings });
  let failed = true;
  try {
    await pipeline.start();
    say(drill.title);
    const findings = await drill.run({ pipeline, seconds, random, say });
    failed = false;
    return findings;
  } catch (error) {
    throw new Error(
      `${(error as Error).message}\n  seed ${seed}; what the processes said: ${pipeline.folder}`,
      {
        cause: error,
      },
    );
  } finally {
    await pipeline.close({ keep: failed });
  }
}
