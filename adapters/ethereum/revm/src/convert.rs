//! Python values to Rust and back. Nothing here holds the GIL longer than one value or one row takes.

use crate::database::{Fault, Map, Rows, Source, Writes};
use crate::execute::{Environment, Executed, Outcome};
use crate::message::{Call, Called};
use alloy_eips::eip7702::{Authorization, SignedAuthorization};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyTuple};
use revm::primitives::hardfork::SpecId;
use revm::primitives::{Address, B256, FixedBytes, HashMap, Log, U256};

/// Beyond this the blob base fee (EIP-4844's `fake_exponential`) leaves the 128 bits revm computes it in;
/// it is then above 10^19 wei, where no chain has been.
const EXCESS_BLOB_GAS_MAX: u64 = 150_000_000;

/// Read a block context's attributes.
pub fn environment(context: &Bound<'_, PyAny>) -> PyResult<Environment> {
    let excess_blob_gas: u64 = context.getattr("excess_blob_gas")?.extract()?;
    if excess_blob_gas > EXCESS_BLOB_GAS_MAX {
        let message = format!("excess_blob_gas {excess_blob_gas} exceeds {EXCESS_BLOB_GAS_MAX}");
        return Err(PyValueError::new_err(message));
    }
    Ok(Environment {
        chain_id: context.getattr("chain_id")?.extract()?,
        spec: fork(&context.getattr("fork")?.extract::<String>()?)?,
        number: context.getattr("number")?.extract()?,
        timestamp: context.getattr("timestamp")?.extract()?,
        gas_limit: context.getattr("gas_limit")?.extract()?,
        base_fee: context.getattr("base_fee")?.extract()?,
        coinbase: fixed("coinbase", &context.getattr("coinbase")?)?.into(),
        prev_randao: fixed("prev_randao", &context.getattr("prev_randao")?)?,
        excess_blob_gas,
        pinned: context.getattr("pinned")?.extract()?,
    })
}

pub const FORKS: [(&str, SpecId); 4] = [
    ("shanghai", SpecId::SHANGHAI),
    ("cancun", SpecId::CANCUN),
    ("prague", SpecId::PRAGUE),
    ("osaka", SpecId::OSAKA),
];

fn fork(name: &str) -> PyResult<SpecId> {
    let known = FORKS.iter().find(|(known, _)| *known == name);
    known
        .map(|(_, spec)| *spec)
        .ok_or_else(|| PyValueError::new_err(format!("fork {name:?} is not supported")))
}

/// Read a call's attributes.
pub fn call(call: &Bound<'_, PyAny>) -> PyResult<Call> {
    let to = call.getattr("to")?;
    let mut access_list = Vec::new();
    for item in call.getattr("access_list")?.try_iter()? {
        let (address, slots): (Bound<'_, PyAny>, Bound<'_, PyAny>) = item?.extract()?;
        let slots = slots.try_iter()?.map(|slot| fixed("slot", &slot?)).collect::<PyResult<Vec<B256>>>()?;
        access_list.push((fixed("address", &address)?.into(), slots));
    }
    let authorizations = call.getattr("authorization_list")?.try_iter()?;
    let authorization_list =
        authorizations.map(|one| authorization(&one?)).collect::<PyResult<Vec<SignedAuthorization>>>()?;
    Ok(Call {
        sender: fixed("sender", &call.getattr("sender")?)?.into(),
        to: if to.is_none() { None } else { Some(fixed("to", &to)?.into()) },
        data: call.getattr("data")?.cast::<PyBytes>()?.as_bytes().to_vec().into(),
        value: wide(&call.getattr("value")?)?,
        gas: call.getattr("gas")?.extract()?,
        gas_price: call.getattr("gas_price")?.extract()?,
        access_list,
        authorization_list,
    })
}

fn authorization(one: &Bound<'_, PyAny>) -> PyResult<SignedAuthorization> {
    let inner = Authorization {
        chain_id: wide(&one.getattr("chain_id")?)?,
        address: fixed("address", &one.getattr("address")?)?.into(),
        nonce: one.getattr("nonce")?.extract()?,
    };
    let (r, s) = (wide(&one.getattr("r")?)?, wide(&one.getattr("s")?)?);
    Ok(SignedAuthorization::new_unchecked(inner, one.getattr("y_parity")?.extract()?, r, s))
}

fn fixed<const N: usize>(name: &str, value: &Bound<'_, PyAny>) -> PyResult<FixedBytes<N>> {
    let bytes = value.cast::<PyBytes>()?.as_bytes();
    FixedBytes::try_from(bytes)
        .map_err(|_| PyValueError::new_err(format!("{name} must have {N} bytes, not {}", bytes.len())))
}

/// A Python integer of up to 256 bits.
fn wide(number: &Bound<'_, PyAny>) -> PyResult<U256> {
    let bytes: Vec<u8> = number.call_method1("to_bytes", (32, "big"))?.extract()?;
    Ok(U256::from_be_slice(&bytes))
}

/// One dictionary of a chain.
enum Layer {
    /// Exactly a dict: read without calling Python code.
    Plain(Py<PyDict>),
    Mapping(Py<PyAny>),
}

/// State as chains of Python mappings, newest first.
///
/// Each read attaches to the interpreter by itself, which costs nothing where the GIL is held already; so a
/// reader may run with the GIL or without, and other threads run between its reads if without.
pub struct PythonState {
    accounts: Vec<Layer>,
    storage: Vec<Layer>,
    code: Vec<Layer>,
    block_hash: Option<Py<PyAny>>,
    /// Told apart from every value by identity: the default of `Mapping.get`.
    absent: Py<PyAny>,
}

impl PythonState {
    /// Take `state.accounts`, `.storage` and `.code`, and a function from number to hash.
    pub fn new(state: &Bound<'_, PyAny>, block_hash: Option<Bound<'_, PyAny>>) -> PyResult<Self> {
        let py = state.py();
        Ok(Self {
            accounts: layers(&state.getattr("accounts")?)?,
            storage: layers(&state.getattr("storage")?)?,
            code: layers(&state.getattr("code")?)?,
            block_hash: block_hash.map(Bound::unbind),
            absent: PyTuple::new(py, [py.Ellipsis()])?.into_any().unbind(),
        })
    }

    fn chain(&self, map: Map) -> &[Layer] {
        match map {
            Map::Accounts => &self.accounts,
            Map::Storage => &self.storage,
            Map::Code => &self.code,
        }
    }

    fn find(&self, py: Python<'_>, map: Map, key: &[u8]) -> PyResult<Option<Vec<u8>>> {
        let key = PyBytes::new(py, key);
        for layer in self.chain(map) {
            let found = match layer {
                Layer::Plain(dict) => dict.bind(py).get_item(&key)?,
                Layer::Mapping(mapping) => {
                    let found = mapping.bind(py).call_method1("get", (&key, &self.absent))?;
                    (!found.is(&self.absent)).then_some(found)
                }
            };
            if let Some(value) = found {
                return row(&value);
            }
        }
        Ok(None)
    }

    fn all(&self, py: Python<'_>, map: Map) -> PyResult<Rows> {
        let mut merged: HashMap<Vec<u8>, Option<Vec<u8>>> = HashMap::default();
        for layer in self.chain(map).iter().rev() {
            // A dict is copied in one step, so that nothing can change it while it is walked.
            let items = match layer {
                Layer::Plain(dict) => dict.bind(py).items(),
                Layer::Mapping(mapping) => PyList::new(py, rows_of(mapping.bind(py))?)?,
            };
            for item in items {
                let (key, value): (Bound<'_, PyBytes>, Bound<'_, PyAny>) = item.extract()?;
                merged.insert(key.as_bytes().to_vec(), row(&value)?);
            }
        }
        Ok(merged.into_iter().filter_map(|(key, value)| Some((key, value?))).collect())
    }

    fn ask_block_hash(&self, py: Python<'_>, number: u64) -> PyResult<B256> {
        let Some(function) = &self.block_hash else {
            return Ok(B256::ZERO);
        };
        fixed("block hash", &function.bind(py).call1((number,))?)
    }
}

fn rows_of<'py>(mapping: &Bound<'py, PyAny>) -> PyResult<Vec<Bound<'py, PyAny>>> {
    mapping.call_method0("items")?.try_iter()?.collect()
}

impl Source for PythonState {
    fn get(&self, map: Map, key: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        Python::attach(|py| self.find(py, map, key)).map_err(source)
    }

    fn rows(&self, map: Map) -> Result<Rows, Fault> {
        Python::attach(|py| self.all(py, map)).map_err(source)
    }

    fn block_hash(&self, number: u64) -> Result<B256, Fault> {
        Python::attach(|py| self.ask_block_hash(py, number)).map_err(source)
    }
}

fn source(error: PyErr) -> Fault {
    Fault::Source(Box::new(error))
}

fn layers(chain: &Bound<'_, PyAny>) -> PyResult<Vec<Layer>> {
    let layer = |mapping: Bound<'_, PyAny>| match mapping.cast_exact::<PyDict>() {
        Ok(dict) => Layer::Plain(dict.clone().unbind()),
        Err(_) => Layer::Mapping(mapping.unbind()),
    };
    chain.try_iter()?.map(|mapping| mapping.map(layer)).collect()
}

/// The bytes of a value, None for a removal.
fn row(value: &Bound<'_, PyAny>) -> PyResult<Option<Vec<u8>>> {
    if value.is_none() {
        return Ok(None);
    }
    match value.cast::<PyBytes>() {
        Ok(bytes) => Ok(Some(bytes.as_bytes().to_vec())),
        Err(_) => Err(PyTypeError::new_err("a value of state is neither bytes nor None")),
    }
}

/// Executed: its 14 fields; Invalid: code, message, hash; NoRoom: None.
pub fn outcome<'py>(py: Python<'py>, outcome: &Outcome) -> PyResult<Bound<'py, PyAny>> {
    match outcome {
        Outcome::NoRoom => Ok(py.None().into_bound(py)),
        Outcome::Invalid(verdict) => {
            let hash = verdict.hash.as_ref().map_or(&[][..], |hash| hash.as_slice());
            let fields = (verdict.code, &verdict.message, PyBytes::new(py, hash));
            Ok(fields.into_pyobject(py)?.into_any())
        }
        Outcome::Executed(executed) => Ok(executed_fields(py, executed)?.into_any()),
    }
}

fn executed_fields<'py>(py: Python<'py>, executed: &Executed) -> PyResult<Bound<'py, PyTuple>> {
    let bytes = |value: &[u8]| PyBytes::new(py, value).into_any();
    let optional = |value: Option<Address>| {
        value.map_or_else(|| py.None().into_bound(py), |value| bytes(value.as_slice()))
    };
    let (accounts, storage, code) = write_set(py, &executed.writes)?;
    let fields = [
        bytes(executed.hash.as_slice()),
        bytes(executed.sender.as_slice()),
        optional(executed.to),
        optional(executed.created),
        executed.kind.into_pyobject(py)?.into_any(),
        u8::from(executed.success).into_pyobject(py)?.into_any(),
        executed.gas_used.into_pyobject(py)?.into_any(),
        executed.effective_gas_price.into_pyobject(py)?.into_any(),
        bytes(&executed.output),
        executed.log_count.into_pyobject(py)?.into_any(),
        bytes(&executed.receipt),
        accounts.into_any(),
        storage.into_any(),
        code.into_any(),
    ];
    PyTuple::new(py, fields)
}

type Dicts<'py> = (Bound<'py, PyDict>, Bound<'py, PyDict>, Bound<'py, PyDict>);

fn write_set<'py>(py: Python<'py>, writes: &Writes) -> PyResult<Dicts<'py>> {
    let (accounts, storage, code) = (PyDict::new(py), PyDict::new(py), PyDict::new(py));
    for (key, value) in &writes.accounts {
        accounts.set_item(PyBytes::new(py, key.as_slice()), optional_bytes(py, value))?;
    }
    for (key, value) in &writes.storage {
        storage.set_item(PyBytes::new(py, key), optional_bytes(py, value))?;
    }
    for (hash, value) in &writes.code {
        code.set_item(PyBytes::new(py, hash.as_slice()), PyBytes::new(py, value))?;
    }
    Ok((accounts, storage, code))
}

fn optional_bytes<'py>(py: Python<'py>, value: &Option<Vec<u8>>) -> Option<Bound<'py, PyBytes>> {
    value.as_ref().map(|value| PyBytes::new(py, value))
}

/// Status, gas used, output, error, logs as (address, topics, data).
pub fn called<'py>(py: Python<'py>, called: &Called) -> PyResult<Bound<'py, PyAny>> {
    let logs = called.logs.iter().map(|one| log(py, one)).collect::<PyResult<Vec<_>>>()?;
    let logs = PyTuple::new(py, logs)?;
    let fields = (called.status, called.gas_used, PyBytes::new(py, &called.output), &called.error, logs);
    Ok(fields.into_pyobject(py)?.into_any())
}

fn log<'py>(py: Python<'py>, log: &Log) -> PyResult<Bound<'py, PyTuple>> {
    let topics = PyTuple::new(py, log.data.topics().iter().map(|topic| PyBytes::new(py, topic.as_slice())))?;
    (PyBytes::new(py, log.address.as_slice()), topics, PyBytes::new(py, &log.data.data)).into_pyobject(py)
}
