import { type Agent, request } from 'node:http';

/** One JSON request as a benchmark's caller makes it: GET, or POST when there is a body. Resolves with the text of a 200. */
export function requestText(agent: Agent, url: string, body?: Buffer): Promise<string> {
  const headers = body && { 'content-type': 'application/json', 'content-length': body.length };
  return new Promise((resolve, reject) => {
    const options = { method: body ? 'POST' : 'GET', agent, ...(headers && { headers }) };
    const asked = request(url, options, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (part) => {
        text += part;
      });
      answer.on('end', () => {
        if (answer.statusCode === 200) resolve(text);
        else reject(new Error(`${answer.statusCode}: ${text.slice(0, 300)}`));
      });
    });
    asked.on('error', (error: NodeJS.ErrnoException) => {
      // The server closed a connection that had been idle just as it was used again; events have ids.
      if (asked.reusedSocket && error.code === 'ECONNRESET')
        requestText(agent, url, body).then(resolve, reject);
      else reject(error);
    });
    asked.end(body);
  });
}
