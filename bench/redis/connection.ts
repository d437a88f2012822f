import { connect, type Socket } from 'node:net';
import { encodeCommand, type Reply, ReplyParser } from './resp.js';

/** One connection to Redis; one pipeline at a time. */
export class RedisConnection {
  private readonly socket: Socket;
  private replies: Reply[] = [];
  private wanted = 0;
  private pending: { resolve(replies: Reply[]): void; reject(error: Error): void } | undefined;

  private constructor(socket: Socket) {
    this.socket = socket;
    const parser = new ReplyParser();
    socket.on('data', (chunk) => this.take(parser.push(chunk)));
    socket.on('error', (error) => this.pending?.reject(error));
    socket.on('close', () => this.pending?.reject(new Error('Redis closed the connection')));
  }

  static open(port: number): Promise<RedisConnection> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port, host: '127.0.0.1', noDelay: true });
      socket.once('error', reject);
      socket.once('connect', () => resolve(new RedisConnection(socket)));
    });
  }

  /** Sends commands at once and resolves with all their replies. Rejects when one of them is an error. */
  send(commands: readonly (readonly string[])[]): Promise<Reply[]> {
    return this.sendBytes(Buffer.concat(commands.map(encodeCommand)), commands.length);
  }

  /** The same for `count` commands that are encoded already. */
  sendBytes(bytes: Buffer | string, count: number): Promise<Reply[]> {
    this.wanted = count;
    this.replies = [];
    return new Promise((resolve, reject) => {
      this.pending = { resolve, reject };
      this.socket.write(bytes);
    });
  }

  close(): void {
    this.pending = undefined;
    this.socket.destroy();
  }

  private take(replies: Reply[]): void {
    for (const reply of replies) this.replies.push(reply);
    if (this.replies.length < this.wanted || !this.pending) return;
    const { resolve, reject } = this.pending;
    this.pending = undefined;
    const error = this.replies.find((reply) => reply instanceof Error);
    if (error instanceof Error) reject(error);
    else resolve(this.replies);
  }
}
