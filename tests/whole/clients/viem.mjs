// viem 2 against a running network, used as its documentation says.
//
// Reads {rpc, other, privateKey, abi, bytecode} as JSON from standard input, prints what it saw as one
// line of JSON. Anything unexpected ends it with an exception.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { BaseError, ContractFunctionRevertedError, createPublicClient, createWalletClient, http } from "viem";
import { NonceTooLowError, InsufficientFundsError } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { localhost } from "viem/chains";

const given = JSON.parse(readFileSync(0, "utf8"));
const chain = { ...localhost, id: 1337 };
const account = privateKeyToAccount(given.privateKey);
const reading = { chain, pollingInterval: 50 };
const client = createPublicClient({ ...reading, transport: http(given.rpc, { batch: true }) });
const other = createPublicClient({ ...reading, transport: http(given.other) });
const wallet = createWalletClient({ account, chain, transport: http(given.rpc) });
const { abi } = given;

assert.equal(await client.getChainId(), 1337);

const deployment = await wallet.deployContract({ abi, bytecode: given.bytecode, args: [5n] });
const { contractAddress: address } = await client.waitForTransactionReceipt({ hash: deployment });
const read = () => client.readContract({ address, abi, functionName: "get" });
assert.equal(await read(), 5n);

// Simulate, write, wait, read events through another node.
const { request, result } = await client.simulateContract({
  account, address, abi, functionName: "set", args: [77n],
});
assert.equal(result, undefined);
const hash = await wallet.writeContract(request);
const receipt = await client.waitForTransactionReceipt({ hash });
assert.equal(receipt.status, "success");
assert.equal(receipt.type, "eip1559");
assert.equal(await read(), 77n);
await other.waitForTransactionReceipt({ hash });
const events = await other.getContractEvents({
  address, abi, eventName: "Kept", args: { who: account.address }, fromBlock: receipt.blockNumber,
});
assert.deepEqual(events.map((event) => event.args.value), [77n]);

// Errors viem recognises.
const refusal = (error, kind) => error instanceof BaseError && error.walk((each) => each instanceof kind);
const simulate = (functionName, args) =>
  client.simulateContract({ account, address, abi, functionName, args }).catch((error) => error);
const reverted = refusal(await simulate("fail"), ContractFunctionRevertedError);
assert.equal(reverted.reason, "out of luck");
const custom = refusal(await simulate("refuse", [6n]), ContractFunctionRevertedError);
assert.equal(custom.data.errorName, "Refused");
assert.deepEqual(custom.data.args, [account.address, 6n]);

const nonce = await client.getTransactionCount({ address: account.address });
const transfer = { to: account.address, value: 1n, gas: 21_000n };
const low = await wallet.sendTransaction({ ...transfer, nonce: nonce - 1 }).catch((error) => error);
assert.ok(refusal(low, NonceTooLowError), String(low));
const poor = await wallet.sendTransaction({ ...transfer, value: 10n ** 30n }).catch((error) => error);
assert.ok(refusal(poor, InsufficientFundsError), String(poor));

// A delegation (EIP-7702) by the sender itself; gas is given, because calls do not take authorizations.
const authorization = await wallet.signAuthorization({ account, contractAddress: address, executor: "self" });
const delegated = await wallet.sendTransaction({
  authorizationList: [authorization], to: account.address, gas: 100_000n,
});
assert.equal((await client.waitForTransactionReceipt({ hash: delegated })).type, "eip7702");
const code = await client.getCode({ address: account.address });
assert.equal(code, "0xef0100" + address.slice(2).toLowerCase());

const block = await client.getBlock({ includeTransactions: true });
assert.equal(block.transactions.at(-1).hash, delegated);
const history = await client.getFeeHistory({ blockCount: 2, rewardPercentiles: [50] });
assert.equal(history.baseFeePerGas.length, 3);

console.log(JSON.stringify({ address, blockNumber: Number(block.number), kept: Number(await read()) }));
