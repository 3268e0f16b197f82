// An identity provider: the library `jose` makes its keys and signs its tokens, and it serves its key set over https.
// Argument: cert, key (PEM), port (0 for a free one), algorithms [name]: for each a key whose kid is the name, all published.
// Reports {port, public: {<kid>: PEM}}, then an answer for each line that it reads:
//   {make: <algorithm>, kid}     another key, not published: {made}
//   {publish: [kid]}             what the key set has from now on: {published}
//   {sign: kid, claims, header}  {token}
//   {requests: true}             how often the key set was asked for: {requests}
"use strict";
const https = require("node:https");
const readline = require("node:readline");
const jose = require("jose");
const { report, scenario } = require("./client.js");

scenario(async ({ cert, key, port = 0, algorithms }) => {
  const keys = new Map();
  let published = [];
  let requests = 0;
  const make = async (algorithm, kid) => {
    const pair = await jose.generateKeyPair(algorithm, { extractable: true });
    const jwk = { ...(await jose.exportJWK(pair.publicKey)), kid, use: "sig", alg: algorithm };
    keys.set(kid, { algorithm, jwk, pem: await jose.exportSPKI(pair.publicKey), privateKey: pair.privateKey });
  };
  for (const algorithm of algorithms) await make(algorithm, algorithm);
  published = [...algorithms];

  const answers = {
    "/jwks": (response) => {
      requests += 1;
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify({ keys: published.map((kid) => keys.get(kid).jwk) }));
    },
    "/redirect": (response) => response.writeHead(302, { location: "/jwks" }).end(),
    "/failing": (response) => response.writeHead(500).end(),
    "/page": (response) => response.end("<html></html>"),
    "/large": (response) => {
      const more = () => { while (response.write(" ".repeat(65_536))); };
      response.on("drain", more).on("error", () => {});
      more();
    },
    "/silent": () => {},
  };
  const server = https.createServer({ cert, key }, (request, response) => {
    const answer = answers[request.url] ?? ((missing) => missing.writeHead(404).end());
    answer(response);
  });
  await new Promise((resolve) => server.listen(port, "127.0.0.1", resolve));
  const pems = Object.fromEntries([...keys].map(([kid, { pem }]) => [kid, pem]));
  report({ port: server.address().port, public: pems });

  for await (const line of readline.createInterface({ input: process.stdin })) {
    const asked = JSON.parse(line);
    if (asked.make) {
      await make(asked.make, asked.kid);
      report({ made: asked.kid });
    } else if (asked.publish) {
      published = asked.publish;
      report({ published });
    } else if (asked.sign) {
      const { algorithm, privateKey } = keys.get(asked.sign);
      const header = { alg: algorithm, kid: asked.sign, ...asked.header };
      report({ token: await new jose.SignJWT(asked.claims).setProtectedHeader(header).sign(privateKey) });
    } else {
      report({ requests });
    }
  }
});
