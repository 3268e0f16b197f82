// What an app gets from Socket.IO alone: a stock server with connection state recovery, which acknowledges and keeps nothing on a
// disk. `chatctl bench jitter` and `bench deploy` measure it beside the chat server (`--stock URL`). It has no store, no cursors and no
// clientMessageId, because Socket.IO has none.
//
//   npm ci --prefix server/tests/js
//   NODE_PATH=server/tests/js/node_modules JWT_SECRET=… PORT=3000 node server/benchmarks/stock.js
"use strict";

const { createHmac, timingSafeEqual } = require("node:crypto");
const { createServer } = require("node:http");
const { Server } = require("socket.io");

const secret = process.env.JWT_SECRET;
if (!secret) throw new Error("set JWT_SECRET to the secret of the tokens");

/** The user of a token that the secret has signed (HS256). */
function userOf(token) {
  const [head, body, signature] = String(token).split(".");
  const wanted = createHmac("sha256", secret).update(`${head}.${body}`).digest();
  const given = Buffer.from(signature ?? "", "base64url");
  if (given.length !== wanted.length || !timingSafeEqual(given, wanted)) throw new Error("wrong token");
  return JSON.parse(Buffer.from(body, "base64url")).userId;
}

const http = createServer((request, response) => {
  response.writeHead(404).end();
});
const io = new Server(http, {
  // Its defaults, as its documentation shows them: a session is kept for two minutes.
  connectionStateRecovery: { maxDisconnectionDuration: 2 * 60 * 1000, skipMiddlewares: true },
  serveClient: false,
});

io.use((socket, next) => {
  try {
    socket.data.user = userOf(socket.handshake.auth.token);
    next();
  } catch (error) {
    next(error);
  }
});

let last = 0;
/** An id of the form of an ObjectId; each message gets another, also one that is sent again. */
const nextId = () => (++last).toString(16).padStart(24, "0");

io.on("connection", (socket) => {
  const { user } = socket.data;
  socket.join(user);
  socket.on("send_message", ({ receiverId, message }, answer) => {
    const document = { _id: nextId(), sender: user, receiver: receiverId, message };
    io.to(receiverId).emit(`receive_message_${receiverId}`, document);
    answer?.({ ok: true, message: document });
  });
});

http.listen(Number(process.env.PORT ?? 3000), "127.0.0.1", () => {
  console.log(JSON.stringify({ port: http.address().port }));
});
process.on("SIGTERM", () => {
  io.close(() => process.exit(0));
});
