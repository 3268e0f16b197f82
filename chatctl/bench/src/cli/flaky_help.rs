//! The help at the end of `chatctl bench jitter --help` and of `deploy`.

pub(super) const JITTER_HELP: &str = "\
Each user sends at a steady rate, also while away: such messages are sent on coming back, under the clientMessageId \
that they got at first, as are those that had no answer. A user comes back with the last cursor and has caught up \
when everything has come that had been acknowledged to the other one before. \"Caught up\" counts from the first \
attempt to connect that a server took, \"away\" from the end of the connection before.

A message is lost if it was acknowledged and never came, and duplicated if it came under two ids, so that an app would \
show it twice. The exit status is 1 if anything was lost, duplicated or not answered, or if somebody never returned; \
what the server of --stock does is shown and does not count.

Start the server with RATE_LIMITS=off: all connections come from one address here.

Examples:
  chatctl bench jitter --users 1000 --plot jitter.svg
  JWT_SECRET=… PORT=3000 node server/benchmarks/stock.js &
  chatctl bench jitter --users 1000 --stock http://127.0.0.1:3000";

pub(super) const DEPLOY_HELP: &str = "\
The users write as in `bench jitter`, and only the restarts break their connections. They try again after 0.25 s, then \
twice as long each time, at most 10 s, and less than that at random.

Examples:
  chatctl bench deploy --users 1000 \\
    --restart 'systemctl restart chat'
  chatctl bench deploy --users 1000 --restart ./restart.sh \\
    --stock http://127.0.0.1:3000 --stock-restart ./restart-stock.sh";
