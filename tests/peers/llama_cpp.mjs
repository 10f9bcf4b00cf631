// What llama.cpp makes of a GGUF file, through node-llama-cpp's prebuilt library:
//   node llama_cpp.mjs MODEL PROMPT COUNT  ->  {"prompt": [ids], "tokens": [ids], "text": "..."}   greedy
import {createRequire} from "node:module";
import {pathToFileURL} from "node:url";

const peers = createRequire(process.env.PITH_PEERS + "/package.json");
const {getLlama, LlamaLogLevel} = await import(pathToFileURL(peers.resolve("node-llama-cpp")));
const [, , modelPath, prompt, count] = process.argv;
const llama = await getLlama({gpu: false, build: "never", logLevel: LlamaLogLevel.error});
const model = await llama.loadModel({modelPath});
const context = await model.createContext({contextSize: 256, threads: 2});
const tokens = model.tokenize(prompt);
if (model.tokens.bos != null && model.tokens.shouldPrependBosToken) tokens.unshift(model.tokens.bos);
const out = [];
for await (const token of context.getSequence().evaluate(tokens, {temperature: 0})) {
  out.push(token);
  if (out.length >= Number(count)) break;
}
console.log(JSON.stringify({prompt: tokens, tokens: out, text: model.detokenize(out)}));
await llama.dispose();
