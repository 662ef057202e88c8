// ethers 6 against a running network, used as its documentation says.
//
// Reads {rpc, other, privateKey, abi, bytecode} as JSON from standard input, prints what it saw as one
// line of JSON. Anything unexpected ends it with an exception.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { Contract, ContractFactory, JsonRpcProvider, Network, Wallet, isError } from "ethers";

const given = JSON.parse(readFileSync(0, "utf8"));
const network = Network.from(1337);
// Calls made in the same tick leave as one JSON-RPC batch: what ethers does unless told otherwise.
// The polling interval only decides how soon it looks for receipts.
const options = { staticNetwork: network, pollingInterval: 50, cacheTimeout: -1 };
const provider = new JsonRpcProvider(given.rpc, network, options);
const other = new JsonRpcProvider(given.other, network, options);
const wallet = new Wallet(given.privateKey, provider);

assert.equal((await new JsonRpcProvider(given.rpc).getNetwork()).chainId, 1337n);

// Deploy, with a constructor argument.
const deployed = await new ContractFactory(given.abi, given.bytecode, wallet).deploy(5);
await deployed.waitForDeployment();
const address = await deployed.getAddress();
assert.notEqual(await provider.getCode(address), "0x");
assert.equal(await deployed.get(), 5n);

// Send, wait, read the event from the receipt and by a query through another node.
const sent = await deployed.set(77);
const receipt = await sent.wait();
assert.equal(receipt.status, 1);
const [kept] = receipt.logs.map((log) => deployed.interface.parseLog(log));
assert.deepEqual([kept.name, kept.args.who, kept.args.value], ["Kept", wallet.address, 77n]);
assert.equal(await deployed.get(), 77n);

const theirs = new Contract(address, given.abi, other);
await other.waitForTransaction(sent.hash, 1, 30_000);
const found = await theirs.queryFilter(theirs.filters.Kept(wallet.address), receipt.blockNumber);
assert.deepEqual(found.map((each) => each.args.value), [77n]);

// A subscription (ethers polls for it).
const heard = new Promise((resolve) => deployed.once("Kept", (who, value) => resolve([who, value])));
await provider.getBlockNumber();
await (await deployed.set(78)).wait();
assert.deepEqual(await heard, [wallet.address, 78n]);

// Reverts: a reason, a custom error, a panic.
const reverted = await deployed.fail.staticCall().catch((error) => error);
assert.ok(isError(reverted, "CALL_EXCEPTION"));
assert.equal(reverted.reason, "out of luck");
const refused = await deployed.refuse.staticCall(6).catch((error) => error);
assert.equal(refused.revert.name, "Refused");
assert.deepEqual([...refused.revert.args], [wallet.address, 6n]);
const panicked = await deployed.overflow.staticCall().catch((error) => error);
assert.match(panicked.reason, /^Panic due to OVERFLOW/);
const failed = await (await deployed.fail({ gasLimit: 100_000 })).wait().catch((error) => error);
assert.ok(isError(failed, "CALL_EXCEPTION"));
assert.equal(failed.receipt.status, 0);

// Errors ethers recognises by their text.
const nonce = await wallet.getNonce();
const transfer = { to: wallet.address, value: 1n, gasLimit: 21_000n };
const low = await wallet.sendTransaction({ ...transfer, nonce: nonce - 1 }).catch((error) => error);
assert.ok(isError(low, "NONCE_EXPIRED"), low.code);
const poor = await wallet.sendTransaction({ ...transfer, value: 10n ** 30n }).catch((error) => error);
assert.ok(isError(poor, "INSUFFICIENT_FUNDS"), poor.code);

// Every kind of fee, and many transactions sent at once.
const fees = await provider.getFeeData();
assert.ok(fees.maxFeePerGas > 0n && fees.gasPrice > 0n);
const kinds = [
  { type: 0, gasPrice: fees.gasPrice },
  { type: 1, gasPrice: fees.gasPrice, accessList: [{ address, storageKeys: ["0x" + "00".repeat(32)] }] },
  { type: 2 },
];
const many = await Promise.all(
  kinds.map((kind, position) =>
    wallet.sendTransaction({ ...transfer, gasLimit: 30_000n, nonce: nonce + position, ...kind }),
  ),
);
const mined = await Promise.all(many.map((each) => each.wait()));
assert.deepEqual(mined.map((each) => each.type), [0, 1, 2]);

// One JSON-RPC batch.
const [block, balance, count] = await Promise.all([
  provider.getBlock("latest", true),
  provider.getBalance(address),
  provider.getTransactionCount(wallet.address),
]);
assert.equal(balance, 0n);
assert.equal(count, nonce + 3);
assert.equal(block.prefetchedTransactions.at(-1).hash, mined.at(-1).hash);

console.log(JSON.stringify({ address, blockNumber: block.number, kept: Number(await deployed.get()) }));
provider.destroy();
other.destroy();
