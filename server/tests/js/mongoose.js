// The replaced program's models, on the database of the server. Argument: uri, a, b (user ids), text.
// Reports {user}, {read: [texts]} as Mongoose finds them, then writes one message and reports {wrote: its JSON text}.
"use strict";
const assert = require("node:assert/strict");
const mongoose = require("mongoose");
const { report, scenario } = require("./client.js");

const User = mongoose.model("User", new mongoose.Schema({
  username: { type: String, required: true },
  isOnline: { type: Boolean, default: false },
}));
const Message = mongoose.model("Message", new mongoose.Schema({
  sender: { type: mongoose.Schema.Types.ObjectId, ref: "User" },
  receiver: { type: mongoose.Schema.Types.ObjectId, ref: "User" },
  message: String,
}, { timestamps: true }));

scenario(async ({ uri, a, b, text }, check) => {
  await mongoose.connect(uri, { autoIndex: true });

  const user = await User.findById(a);
  report({ user: user.toJSON() });
  const between = { $or: [{ sender: a, receiver: b }, { sender: b, receiver: a }] };
  const messages = await Message.find(between).sort({ createdAt: 1 });
  report({ read: messages.map(({ message }) => message) });

  await check("what the server wrote has Mongoose's types", async () => {
    const raw = await Message.collection.findOne({ message: text });
    assert.ok(raw, "the message is there");
    assert.deepEqual(Object.keys(raw).slice(0, 7),
      ["_id", "sender", "receiver", "message", "createdAt", "updatedAt", "__v"]);
    for (const field of ["_id", "sender", "receiver"]) assert.equal(raw[field]._bsontype, "ObjectId", field);
    for (const field of ["createdAt", "updatedAt"]) assert.ok(raw[field] instanceof Date, field);
    assert.equal(typeof raw.__v, "number");
    const types = await Message.collection.aggregate([
      { $match: { message: text } },
      { $project: { _id: 0, version: { $type: "$__v" } } },
    ]).toArray();
    assert.deepEqual(types, [{ version: "int" }]);
  });
  await check("Mongoose changes what the server wrote", async () => {
    const found = await Message.findOne({ message: text }).populate("sender");
    assert.equal(found.sender.id, a);
    found.set("message", `${text}, changed`);
    await found.save();
    assert.ok(found.updatedAt >= found.createdAt);
    await User.updateOne({ _id: b }, { isOnline: false });
  });
  await check("Mongoose writes users, two of them without the server's fields", async () => {
    await User.create([{ username: "by mongoose 1" }, { username: "by mongoose 2" }]);
  });
  await check("Mongoose leaves the fields alone that it does not know", async () => {
    const raw = () => User.collection.findOne({ externalId: "auth0|7" });
    const before = await raw();
    const user = await User.findOne({ username: before.username });
    user.set("isOnline", true);
    await user.save();
    assert.deepEqual({ ...(await raw()), isOnline: false }, before);
    user.set("isOnline", false);
    await user.save();
  });
  const written = await Message.create({ sender: b, receiver: a, message: "written by Mongoose" });
  report({ wrote: JSON.stringify(written) });
  await mongoose.disconnect();
});
