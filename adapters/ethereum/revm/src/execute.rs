//! Run a block's transactions, or one call, on revm.

use crate::database::{BlockState, Fault, Source, Writes};
use crate::transaction::Signed;
use crate::verdict::{Verdict, explain};
use alloy_consensus::{Receipt, ReceiptEnvelope, ReceiptWithBloom};
use alloy_eips::eip2718::Encodable2718;
use revm::context::result::{EVMError, ExecutionResult, Output};
use revm::context::{BlockEnv, CfgEnv, ContextTr, Transaction, TxEnv};
use revm::context_interface::block::BlobExcessGasAndPrice;
use revm::primitives::alloy_primitives::Bloom;
use revm::primitives::hardfork::SpecId;
use revm::primitives::{Address, B256, Bytes, Log, TxKind, U256};
use revm::{Context, ExecuteEvm, MainBuilder, MainContext};
use std::fmt;

/// Memory of all frames of a transaction together (EIP-1985). No transaction below 34 G gas can pay
/// for more, even spread over 1024 frames, so it never decides one; it stops a call with unlimited gas.
const MEMORY_BYTES_MAX: u64 = u32::MAX as u64;

/// The environment of a block.
pub struct Environment {
    pub chain_id: u64,
    pub spec: SpecId,
    pub number: u64,
    pub timestamp: u64,
    pub gas_limit: u64,
    pub base_fee: u64,
    pub coinbase: Address,
    pub prev_randao: B256,
    pub excess_blob_gas: u64,
    /// The gas limit bounds each transaction alone.
    pub pinned: bool,
}

impl Environment {
    fn block(&self) -> BlockEnv {
        BlockEnv {
            number: U256::from(self.number),
            beneficiary: self.coinbase,
            timestamp: U256::from(self.timestamp),
            gas_limit: self.gas_limit,
            basefee: self.base_fee,
            difficulty: U256::ZERO,
            prevrandao: Some(self.prev_randao),
            blob_excess_gas_and_price: Some(BlobExcessGasAndPrice::new_with_spec(
                self.excess_blob_gas,
                self.spec,
            )),
            ..BlockEnv::default()
        }
    }

    fn config(&self) -> CfgEnv {
        let mut config = CfgEnv::new_with_spec(self.spec).with_chain_id(self.chain_id);
        config.memory_limit = MEMORY_BYTES_MAX;
        config
    }
}

/// Why nothing could be executed; never a transaction's fault.
#[derive(Debug)]
pub enum Failure {
    State(Fault),
    /// A call that cannot begin.
    Call(String),
    /// revm contradicts itself.
    Engine(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::State(fault) => fault.fmt(out),
            Self::Call(why) | Self::Engine(why) => out.write_str(why),
        }
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::State(fault)
    }
}

/// The effect of a valid transaction.
pub struct Executed {
    pub hash: B256,
    pub sender: Address,
    pub to: Option<Address>,
    pub created: Option<Address>,
    pub kind: u8,
    pub success: bool,
    pub gas_used: u64,
    pub effective_gas_price: u128,
    pub output: Bytes,
    pub log_count: usize,
    pub receipt: Vec<u8>,
    pub writes: Writes,
}

pub enum Outcome {
    Executed(Box<Executed>),
    Invalid(Verdict),
    NoRoom,
}

pub struct Block {
    pub outcomes: Vec<Outcome>,
    pub gas_used: u64,
    pub logs_bloom: Bloom,
}

/// Execute transactions in order, each over what the ones before wrote.
pub fn execute_block<S: Source>(
    source: S,
    environment: &Environment,
    transactions: Vec<Result<Signed, Verdict>>,
) -> Result<Block, Failure> {
    let mut evm = Context::mainnet()
        .with_db(BlockState::new(source))
        .with_block(environment.block())
        .with_cfg(environment.config())
        .build_mainnet();
    let mut block =
        Block { outcomes: Vec::with_capacity(transactions.len()), gas_used: 0, logs_bloom: Bloom::ZERO };
    for transaction in transactions {
        let signed = match transaction {
            Ok(signed) => signed,
            Err(verdict) => {
                block.outcomes.push(Outcome::Invalid(verdict));
                continue;
            }
        };
        if !environment.pinned && lacks_room(&signed.env, environment.gas_limit, block.gas_used) {
            block.outcomes.push(Outcome::NoRoom);
            continue;
        }
        let outcome = match evm.transact(signed.env) {
            Ok(done) => {
                let writes = evm.ctx.db_mut().absorb(done.state)?;
                block.gas_used += done.result.tx_gas_used();
                let bloom = &mut block.logs_bloom;
                let base_fee = environment.base_fee;
                let executed =
                    conclude(signed.hash, &evm.ctx.tx, done.result, writes, base_fee, block.gas_used, bloom);
                Outcome::Executed(Box::new(executed))
            }
            Err(EVMError::Transaction(error)) => {
                let (code, message) = explain(&error, &evm.ctx.tx, &evm.ctx.block);
                Outcome::Invalid(Verdict::new(code, message, signed.hash))
            }
            Err(EVMError::Database(fault)) => return Err(Failure::State(fault)),
            Err(error) => return Err(Failure::Engine(error.to_string())),
        };
        block.outcomes.push(outcome);
    }
    Ok(block)
}

/// Whether the block could hold the transaction but is too full for it by now.
fn lacks_room(tx: &TxEnv, gas_limit: u64, gas_used: u64) -> bool {
    tx.gas_limit <= gas_limit && tx.gas_limit > gas_limit.saturating_sub(gas_used)
}

/// Make the result and the receipt of an executed transaction.
fn conclude(
    hash: B256,
    tx: &TxEnv,
    result: ExecutionResult,
    writes: Writes,
    base_fee: u64,
    cumulative_gas_used: u64,
    block_bloom: &mut Bloom,
) -> Executed {
    let success = result.is_success();
    let gas_used = result.tx_gas_used();
    let output = result.output().cloned().unwrap_or_default();
    // Only what succeeds logs: revm tells the logs before a revert as well.
    let logs = if success { result.into_logs() } else { Vec::new() };
    let log_count = logs.len();
    let receipt = Receipt { status: success.into(), cumulative_gas_used, logs }.with_bloom();
    *block_bloom |= receipt.logs_bloom;
    let to = tx.kind.into_to();
    Executed {
        hash,
        sender: tx.caller,
        to,
        created: to.is_none().then(|| tx.caller.create(tx.nonce)),
        kind: tx.tx_type,
        success,
        gas_used,
        effective_gas_price: tx.effective_gas_price(u128::from(base_fee)),
        output,
        log_count,
        receipt: encode_receipt(tx.tx_type, receipt),
        writes,
    }
}

/// Encode a receipt as the receipts trie holds it (EIP-2718).
fn encode_receipt(kind: u8, receipt: ReceiptWithBloom<Receipt<Log>>) -> Vec<u8> {
    let envelope = match kind {
        1 => ReceiptEnvelope::Eip2930(receipt),
        2 => ReceiptEnvelope::Eip1559(receipt),
        4 => ReceiptEnvelope::Eip7702(receipt),
        _ => ReceiptEnvelope::Legacy(receipt),
    };
    envelope.encoded_2718()
}

/// A message call that leaves no trace.
pub struct Call {
    pub sender: Address,
    pub to: Option<Address>,
    pub data: Bytes,
    pub value: U256,
    pub gas: u64,
    pub gas_price: u128,
    pub access_list: Vec<(Address, Vec<B256>)>,
}

pub struct Called {
    pub status: &'static str,
    pub gas_used: u64,
    pub output: Bytes,
    pub error: String,
    pub logs: Vec<Log>,
}

/// Execute a call with balance, nonce, code and base-fee checks off.
pub fn execute_call<S: Source>(source: S, environment: &Environment, call: Call) -> Result<Called, Failure> {
    let mut config = environment.config();
    config.tx_chain_id_check = false;
    config.disable_nonce_check = true;
    config.disable_balance_check = true;
    config.disable_block_gas_limit = true;
    config.disable_eip3607 = true;
    config.disable_base_fee = true;
    config.tx_gas_limit_cap = Some(u64::MAX);
    // revm relies on the balance check to have refused this.
    let fee = U256::from(call.gas) * U256::from(call.gas_price);
    if fee.checked_add(call.value).is_none() {
        return Err(Failure::Call("insufficient funds for gas * price + value".to_owned()));
    }
    let tx = call_transaction(call);
    let mut evm = Context::mainnet()
        .with_db(BlockState::new(source))
        .with_block(environment.block())
        .with_cfg(config)
        .build_mainnet();
    match evm.transact(tx) {
        Ok(done) => Ok(called(done.result)),
        Err(EVMError::Transaction(error)) => {
            Err(Failure::Call(explain(&error, &evm.ctx.tx, &evm.ctx.block).1))
        }
        Err(EVMError::Database(fault)) => Err(Failure::State(fault)),
        Err(error) => Err(Failure::Engine(error.to_string())),
    }
}

fn call_transaction(call: Call) -> TxEnv {
    let access_list: Vec<_> = call
        .access_list
        .into_iter()
        .map(|(address, storage_keys)| alloy_eips::eip2930::AccessListItem { address, storage_keys })
        .collect();
    TxEnv {
        tx_type: u8::from(!access_list.is_empty()),
        caller: call.sender,
        gas_limit: call.gas,
        gas_price: call.gas_price,
        kind: call.to.map_or(TxKind::Create, TxKind::Call),
        value: call.value,
        data: call.data,
        nonce: 0,
        chain_id: None,
        access_list: access_list.into(),
        gas_priority_fee: None,
        blob_hashes: Vec::new(),
        max_fee_per_blob_gas: 0,
        authorization_list: Vec::new(),
    }
}

fn called(result: ExecutionResult) -> Called {
    let gas_used = result.tx_gas_used();
    match result {
        ExecutionResult::Success { logs, output, .. } => {
            let output = match output {
                Output::Call(data) | Output::Create(data, _) => data,
            };
            Called { status: "success", gas_used, output, error: String::new(), logs }
        }
        ExecutionResult::Revert { output, .. } => {
            let error = "execution reverted".to_owned();
            Called { status: "revert", gas_used, output, error, logs: Vec::new() }
        }
        ExecutionResult::Halt { reason, .. } => Called {
            status: "halt",
            gas_used,
            output: Bytes::new(),
            error: reason.to_string(),
            logs: Vec::new(),
        },
    }
}
