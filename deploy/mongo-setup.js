// For mongosh: makes the replica set and the platform's user, and may run again and again.
const { readFileSync } = require("fs");

const secret = (name) => readFileSync(`/run/secrets/${name}`, "utf8").trim();
const members = ["mongo-1:27017", "mongo-2:27017", "mongo-3:27017"];

try {
  rs.status();
} catch (error) {
  // 94: NotYetInitialized
  if (error.code !== 94) throw error;
  rs.initiate({ _id: "rs0", members: members.map((host, id) => ({ _id: id, host })) });
}

// Whichever member is the primary; a new set needs some seconds to choose one.
const uri = `mongodb://root:${secret("mongo_root_password")}@${members}/?replicaSet=rs0&authSource=admin`;
const platform = connect(`${uri}&serverSelectionTimeoutMS=60000`).getSiblingDB("webhookcron");
if (platform.getUser("webhookcron") === null) {
  platform.createUser({ user: "webhookcron", pwd: secret("mongo_app_password"), roles: ["readWrite"] });
}
