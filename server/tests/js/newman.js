// Runs the Postman collection with its environment, and reports what its assertions found.
// node newman.js '{"collection": "<path>", "environment": "<path>", "values": {"url": …}}'

const newman = require("newman");

const { collection, environment, values } = JSON.parse(process.argv[2]);
const envVar = Object.entries(values).map(([key, value]) => ({ key, value: String(value) }));

newman.run({ collection, environment, envVar }, (error, summary) => {
  if (error) throw error;
  const { stats, failures, executions } = summary.run;
  const without = executions.filter(({ assertions }) => !assertions?.length).map(({ item }) => item.name);
  const failed = failures.map(({ source, error }) => `${source?.name}: ${error.test ?? ""} ${error.message}`);
  console.log(JSON.stringify({ requests: stats.requests.total, assertions: stats.assertions.total, failed, without }));
});
