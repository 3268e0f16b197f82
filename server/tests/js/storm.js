// Several clients send while the server is killed and started again: each keeps what was not acknowledged and sends
// it again, in order, under the same clientMessageId. Argument: url, clients [{token, receiver}], each (messages).
// Reports {acknowledged: <count of all>} now and then and, at the end, {client, resent: <count>, sent: [[text, _id], …]}.
"use strict";
const { randomUUID } = require("node:crypto");
const { io } = require("socket.io-client");
const { report, scenario } = require("./client.js");

const WINDOW = 50;

scenario(async ({ url, clients, each }) => {
  let acknowledged = 0;
  const runs = clients.map(({ token, receiver }) => new Promise((resolve) => {
    const socket = io(url, {
      auth: { token },
      transports: ["websocket"],
      forceNew: true,
      reconnectionDelay: 50,
      reconnectionDelayMax: 200,
    });
    const pending = new Map();
    const sent = [];
    let next = 0;
    let resent = 0;

    const send = (clientMessageId, text) => {
      socket.emit("send_message", { receiverId: receiver, message: text, clientMessageId }, (answer) => {
        if (!answer.ok) {
          // Only what may be tried again is to be expected here; anything else would never end.
          if (!answer.error.retryAfterMs && answer.error.code !== "shutting_down") throw new Error(JSON.stringify(answer));
          setTimeout(() => socket.connected && pending.has(clientMessageId) && send(clientMessageId, text),
            answer.error.retryAfterMs ?? 50);
          return;
        }
        if (!pending.delete(clientMessageId)) return;
        sent.push([text, answer.message._id]);
        if (++acknowledged % 50 === 0) report({ acknowledged });
        fill();
      });
    };
    const fill = () => {
      while (socket.connected && pending.size < WINDOW && next < each) {
        const [id, text] = [randomUUID(), `message ${next++}`];
        pending.set(id, text);
        send(id, text);
      }
      if (pending.size === 0 && next === each) {
        socket.disconnect();
        resolve({ resent, sent });
      }
    };
    socket.on("connect", () => {
      resent += pending.size;
      for (const [id, text] of pending) send(id, text);
      fill();
    });
  }));
  for (const [client, run] of runs.entries()) report({ client, ...(await run) });
});
