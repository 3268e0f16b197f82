// The stock client over TLS, while the certificate changes.
// Argument: url, ca (file), transport, users {a, b}, tokens {a, b}, and for a change: pid, folder (with the links tls.crt and tls.key
// into ..data, as Kubernetes has them), next (folder with the new pair), wrong (folder with a pair that does not fit), serials [old, new].
"use strict";
const assert = require("node:assert/strict");
const fs = require("node:fs");
const https = require("node:https");
const path = require("node:path");
const tls = require("node:tls");
const { setTimeout: pause } = require("node:timers/promises");
const { Device, scenario } = require("./client.js");

/** The serial number of the certificate that a new connection is shown. */
function serial(url, ca) {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const socket = tls.connect({ host: hostname, port, ca }, () => {
      resolve(parseInt(socket.getPeerCertificate().serialNumber, 16));
      socket.end();
    });
    socket.on("error", reject);
  });
}

async function becomes(url, ca, wanted) {
  for (let attempt = 0; attempt < 600; attempt++) {
    if (await serial(url, ca) === wanted) return;
    await pause(100);
  }
  throw new Error(`the certificate ${wanted} was not shown`);
}

/** As kubelet does it: a new folder, and a link that is replaced in one step. */
function swap(folder, to) {
  fs.symlinkSync(to, path.join(folder, "..data_tmp"));
  fs.renameSync(path.join(folder, "..data_tmp"), path.join(folder, "..data"));
}

scenario(async ({ url, ca: file, transport, users: { a, b }, tokens, change }, check) => {
  const ca = fs.readFileSync(file);
  const options = { ca };
  const sender = await new Device(url, transport, { token: tokens.a }, options).connected();
  const receiver = await new Device(url, transport, { token: tokens.b }, options).connected();
  let ended = null;
  for (const device of [sender, receiver]) device.socket.on("disconnect", (reason) => { ended = reason; });

  await check("messages of every length arrive", async () => {
    for (const length of [1, 1000, 4096, 16000, 16384]) {
      const text = "x".repeat(length);
      const { _id } = await sender.send(b, text);
      const message = await receiver.hears(`receive_message_${b}`, (message) => message._id === _id);
      assert.equal(message.message, text);
    }
  });
  await check("a long history is read whole, after a pause", async () => {
    const count = 320;
    for (let sent = 0; sent < count; sent += 10) {
      await Promise.all(Array.from({ length: 10 }, () => sender.send(b, "y".repeat(16000))));
    }
    const body = await new Promise((resolve, reject) => {
      const headers = { authorization: `Bearer ${tokens.a}` };
      https.get(`${url}/chat/history/${a}/${b}`, { ca, headers }, async (answer) => {
        assert.equal(answer.statusCode, 200);
        await pause(3000);
        const parts = [];
        answer.on("data", (part) => parts.push(part));
        answer.on("end", () => resolve(Buffer.concat(parts).toString()));
        answer.on("error", reject);
      }).on("error", reject);
    });
    assert.equal(JSON.parse(body).filter(({ message }) => message[0] === "y").length, count);
  });
  if (change) {
    const { pid, folder, next, wrong, serials: [old, fresh] } = change;
    let sent = 0;
    let running = true;
    const load = (async () => {
      while (running) {
        await sender.send(b, `under load ${sent++}`);
      }
    })();
    await check("a new certificate is shown once the files change", async () => {
      assert.equal(await serial(url, ca), old);
      swap(folder, next);
      await becomes(url, ca, fresh);
    });
    await check("one that does not fit changes nothing", async () => {
      swap(folder, wrong);
      process.kill(pid, "SIGHUP");
      await pause(500);
      assert.equal(await serial(url, ca), fresh);
    });
    await check("SIGHUP reads it at once", async () => {
      swap(folder, next);
      process.kill(pid, "SIGHUP");
      await becomes(url, ca, fresh);
    });
    running = false;
    await load;
    await check("no connection was lost, and no message", async () => {
      assert.equal(ended, null);
      assert.ok(sent > 10, `${sent} messages`);
      await receiver.hears(`receive_message_${b}`, ({ message }) => message === `under load ${sent - 1}`);
      const heard = receiver.heard.filter(([, message]) => message?.message?.startsWith("under load"));
      assert.equal(heard.length, sent);
    });
  }
});
