// Several clients send while something goes wrong: each keeps what was not acknowledged and sends it again under the
// same clientMessageId.
// Argument: url, clients [{token, receiver}], and perhaps
//   each      messages of each client; without it they send until standard input ends
//   window    messages of a client that wait for their answer (50)
//   bytes     length of each text, at least that of "message <number>"
//   tolerated codes of errors that are no reason to give up, though they don't say when to try again
//   retries   milliseconds after which the stock client itself repeats what was not answered; it then sends one at a time
//   listener  {url, token, userId}: a receiver that is always connected
// Reports {acknowledged: <count of all>} now and then, {now: <the same>} for each line that it reads, and, at the end,
// {client, resent: <count>, refused: {<code>: <count>}, sent: [[text, _id], …]} and {heard: [_id, …]}.
"use strict";
const { randomUUID } = require("node:crypto");
const readline = require("node:readline");
const { io } = require("socket.io-client");
const { eventually, report, scenario } = require("./client.js");

/** Whoever is refused again and again waits longer, up to about so many milliseconds unless the server asks for more. */
const LONGEST_WAIT = 1_500;

scenario(async ({ url, clients, each = Infinity, window = 50, bytes = 0, tolerated = [], retries, listener }) => {
  const options = (token) => ({
    auth: { token },
    transports: ["websocket"],
    forceNew: true,
    reconnectionDelay: 50,
    reconnectionDelayMax: 200,
  });
  let acknowledged = 0;
  let stopping = false;
  const stops = [];
  readline.createInterface({ input: process.stdin })
    .on("line", () => report({ now: acknowledged }))
    .on("close", () => {
      stopping = each === Infinity;
      for (const stop of stops) stop();
    });

  const heard = [];
  if (listener) {
    const ears = io(listener.url, options(listener.token));
    ears.on(`receive_message_${listener.userId}`, ({ _id }) => heard.push(_id));
    await eventually("the listener is connected", () => ears.connected);
  }

  const runs = clients.map(({ token, receiver }) => new Promise((resolve) => {
    const socket = io(url, {
      ...options(token),
      ...(retries && { retries: Number.MAX_SAFE_INTEGER, ackTimeout: retries }),
    });
    const pending = new Map();
    const sent = [];
    const refused = {};
    let next = 0;
    let resent = 0;

    const emit = (payload, answered) => {
      if (retries) socket.emit("send_message", payload, (_, answer) => answered(answer));
      else socket.emit("send_message", payload, answered);
    };
    const send = (clientMessageId, text, patience = 0) => {
      emit({ receiverId: receiver, message: text.padEnd(bytes, "."), clientMessageId }, (answer) => {
        if (!answer.ok) {
          const { code, retryAfterMs } = answer.error;
          refused[code] = 1 + (refused[code] ?? 0);
          // Only what may be tried again is to be expected here; anything else would never end.
          if (!retryAfterMs && !["shutting_down", ...tolerated].includes(code)) throw new Error(JSON.stringify(answer));
          // Spread, so that they don't all come back at once to be refused again.
          const wait = Math.max(retryAfterMs ?? 50, patience) * (1 + Math.random());
          setTimeout(() => {
            // Whoever was disconnected meanwhile has sent it again already; the stock client keeps it by itself.
            if ((retries || socket.connected) && pending.has(clientMessageId)) {
              send(clientMessageId, text, Math.min(2 * wait, LONGEST_WAIT));
            }
          }, wait);
          return;
        }
        if (!pending.delete(clientMessageId)) return;
        sent.push([text, answer.message._id]);
        if (answer.duplicate) resent++;
        if (++acknowledged % 50 === 0) report({ acknowledged });
        fill();
      });
    };
    const fill = () => {
      while (socket.connected && !stopping && pending.size < window && next < each) {
        const [id, text] = [randomUUID(), `message ${next++}`];
        pending.set(id, text);
        send(id, text);
      }
      if (pending.size === 0 && (stopping || next === each)) {
        socket.disconnect();
        resolve({ resent, refused, sent });
      }
    };
    stops.push(fill);
    socket.on("connect", () => {
      if (!retries) {
        resent += pending.size;
        for (const [id, text] of pending) send(id, text);
      }
      fill();
    });
  }));
  for (const [client, run] of runs.entries()) report({ client, ...(await run) });
  report({ heard });
});
