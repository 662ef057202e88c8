//! Run one message call on revm.

use crate::database::{BlockState, Source};
use crate::execute::{Environment, Failure};
use crate::verdict::{explain, halt};
use alloy_eips::eip7702::SignedAuthorization;
use revm::context::TxEnv;
use revm::context::result::{EVMError, ExecutionResult, Output};
use revm::context_interface::either::Either;
use revm::primitives::{Address, B256, Bytes, Log, TxKind, U256};
use revm::{Context, ExecuteEvm, MainBuilder, MainContext};

/// A message call that leaves no trace.
pub struct Call {
    pub sender: Address,
    pub to: Option<Address>,
    pub data: Bytes,
    pub value: U256,
    pub gas: u64,
    pub gas_price: u128,
    pub access_list: Vec<(Address, Vec<B256>)>,
    pub authorization_list: Vec<SignedAuthorization>,
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
    // A type 4 transaction has a destination, always; revm leaves that to the envelope.
    if !call.authorization_list.is_empty() && call.to.is_none() {
        return Err(Failure::Call("transaction type not supported: 4".to_owned()));
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
    let tx_type = match (call.authorization_list.is_empty(), access_list.is_empty()) {
        (false, _) => 4,
        (true, false) => 1,
        (true, true) => 0,
    };
    TxEnv {
        tx_type,
        caller: call.sender,
        gas_limit: call.gas,
        gas_price: call.gas_price,
        kind: call.to.map_or(TxKind::Create, TxKind::Call),
        value: call.value,
        data: call.data,
        nonce: 0,
        chain_id: None,
        access_list: access_list.into(),
        // Type 4 has a tip: as much as the fee, so that the effective price is the call's.
        gas_priority_fee: (tx_type == 4).then_some(call.gas_price),
        blob_hashes: Vec::new(),
        max_fee_per_blob_gas: 0,
        authorization_list: call
            .authorization_list
            .into_iter()
            .map(|one| Either::Right(one.into_recovered()))
            .collect(),
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
            error: halt(&reason).to_owned(),
            logs: Vec::new(),
        },
    }
}
