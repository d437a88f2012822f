import { silentLogger } from '../../../ports/logger.js';
import { logConfigSchema } from '../../../services/log/config.js';
import { runLog } from '../../../services/log/main.js';

/** A log of its own process, to be killed: `log-process.ts FOLDER [PORT]`. It says its port when it is ready. */
const [dataDir, port = '0'] = process.argv.slice(2);
const config = logConfigSchema.parse({
  dataDir,
  port: Number(port),
  // Small, so that LevelDB switches its own logs and merges tables while it is being killed.
  writeBufferBytes: Number(process.env.LOG_WRITE_BUFFER_BYTES ?? 64 * 1024),
  minFreeDiskBytes: 1,
});
try {
  const log = await runLog({ config, insecure: false, logger: silentLogger });
  process.once('SIGTERM', () => void log.close().then(() => process.stdout.write('closed\n')));
  process.stdout.write(`ready ${log.port} ${log.logId}\n`);
} catch (error) {
  process.stdout.write(`failed ${(error as Error).message}\n`);
}
