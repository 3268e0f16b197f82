// Loads the replaced program's documents with their types. Argument: uri, folder (users.jsonl, messages.jsonl).
"use strict";
const fs = require("node:fs");
const path = require("node:path");
const { MongoClient, BSON } = require("mongoose").mongo;
const { report, scenario } = require("./client.js");

scenario(async ({ uri, folder }) => {
  const client = await MongoClient.connect(uri, { promoteValues: false });
  for (const name of ["users", "messages"]) {
    const lines = fs.readFileSync(path.join(folder, `${name}.jsonl`), "utf8").trim().split("\n");
    const documents = lines.map((line) => BSON.EJSON.parse(line, { relaxed: false }));
    const { insertedCount } = await client.db().collection(name).insertMany(documents);
    report({ loaded: name, count: insertedCount });
  }
  await client.close();
});
