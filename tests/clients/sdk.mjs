// Asks one question through the published TypeScript SDK and prints what the caller of the SDK gets.
// Argument: {"client": options of FlowiseClient, "prediction": what is asked}, as JSON.
// Output: {"answer": ...}, {"events": [...]} or {"error": "..."}.
import sdk from "flowise-sdk";

const { client, prediction } = JSON.parse(process.argv[2]);

async function ask() {
  const result = await new sdk.FlowiseClient(client).createPrediction(prediction);
  if (!result[Symbol.asyncIterator]) return { answer: result };
  const events = [];
  for await (const event of result) events.push(event);
  return { events };
}

console.log(JSON.stringify(await ask().catch((error) => ({ error: error.message }))));
