//! The Python module: arguments in, results out, every failure a Python exception.
//!
//! Knows Python and the other files' signatures; what a transaction does is theirs to know.

mod convert;
mod database;
mod execute;
mod message;
mod roots;
mod transaction;
mod verdict;

use convert::PythonState;
use database::Fault;
use execute::{Caller, Failure, Outcome};
use pyo3::create_exception;
use pyo3::exceptions::{PyException, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyTuple};
use revm::primitives::keccak256 as digest;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The pin of Cargo.toml, which a test compares.
const REVM_VERSION: &str = "43.0.3";

create_exception!(
    _native,
    StateError,
    PyException,
    "State that cannot be read: a row is missing or malformed."
);

/// Turn a panic, which nothing should cause, into an exception Python code can catch.
fn guarded<T>(work: impl FnOnce() -> PyResult<T>) -> PyResult<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let why = panic.downcast_ref::<&str>().map(|why| (*why).to_owned());
        let why = why.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
        Err(PyRuntimeError::new_err(format!("the native engine failed: {why}")))
    })
}

fn state_error(fault: Fault) -> PyErr {
    match fault {
        Fault::Row(what) => StateError::new_err(what),
        Fault::Source(error) => match error.downcast::<PyErr>() {
            Ok(error) => *error,
            Err(error) => StateError::new_err(error.to_string()),
        },
    }
}

fn python_error(failure: Failure) -> PyErr {
    match failure {
        Failure::State(fault) => state_error(fault),
        Failure::Call(why) => PyValueError::new_err(why),
        Failure::Engine(why) => PyRuntimeError::new_err(format!("the native engine failed: {why}")),
    }
}

/// Python with the GIL held, which it can let go of.
struct Attached<'py>(Python<'py>);

impl Caller for Attached<'_> {
    fn apart<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.0.detach(work)
    }
}

#[pyfunction]
#[pyo3(name = "execute")]
fn execute_transactions<'py>(
    context: &Bound<'py, PyAny>,
    transactions: Vec<Bound<'py, PyBytes>>,
    state: &Bound<'py, PyAny>,
    block_hash: Option<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyTuple>> {
    let py = state.py();
    guarded(|| {
        let environment = convert::environment(context)?;
        let source = PythonState::new(state, block_hash)?;
        let raws: Vec<&[u8]> = transactions.iter().map(|raw| raw.as_bytes()).collect();
        let block =
            execute::execute_block(&source, &environment, &raws, &Attached(py)).map_err(python_error)?;
        let mut included: Vec<&[u8]> = Vec::with_capacity(raws.len());
        let mut receipts: Vec<&[u8]> = Vec::with_capacity(raws.len());
        for (raw, outcome) in raws.iter().zip(&block.outcomes) {
            if let Outcome::Executed(executed) = outcome {
                included.push(raw);
                receipts.push(&executed.receipt);
            }
        }
        let outcomes =
            block.outcomes.iter().map(|one| convert::outcome(py, one)).collect::<PyResult<Vec<_>>>()?;
        let fields = (
            PyList::new(py, outcomes)?,
            block.gas_used,
            PyBytes::new(py, roots::ordered_root(&included).as_slice()),
            PyBytes::new(py, roots::ordered_root(&receipts).as_slice()),
            PyBytes::new(py, block.logs_bloom.as_slice()),
        );
        fields.into_pyobject(py)
    })
}

#[pyfunction]
fn call<'py>(
    context: &Bound<'py, PyAny>,
    call: &Bound<'py, PyAny>,
    state: &Bound<'py, PyAny>,
    block_hash: Option<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    guarded(|| {
        let environment = convert::environment(context)?;
        let source = PythonState::new(state, block_hash)?;
        let call = convert::call(call)?;
        let py = state.py();
        let done = py.detach(|| message::execute_call(&source, &environment, call)).map_err(python_error)?;
        convert::called(py, &done)
    })
}

#[pyfunction]
fn keccak256<'py>(py: Python<'py>, data: &[u8]) -> Bound<'py, PyBytes> {
    PyBytes::new(py, digest(data).as_slice())
}

#[pyfunction]
fn ordered_trie_root<'py>(py: Python<'py>, items: Vec<Bound<'py, PyBytes>>) -> PyResult<Bound<'py, PyBytes>> {
    guarded(|| {
        let items: Vec<&[u8]> = items.iter().map(|item| item.as_bytes()).collect();
        Ok(PyBytes::new(py, roots::ordered_root(&items).as_slice()))
    })
}

#[pyfunction]
fn state_root<'py>(state: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    guarded(|| {
        let source = PythonState::new(state, None)?;
        let root = roots::state_root(&source).map_err(state_error)?;
        Ok(PyBytes::new(state.py(), root.as_slice()))
    })
}

#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    module.add("REVM_VERSION", REVM_VERSION)?;
    module.add("FORKS", PyTuple::new(py, convert::FORKS.map(|(name, _)| name))?)?;
    module.add("StateError", py.get_type::<StateError>())?;
    module.add_function(wrap_pyfunction!(execute_transactions, module)?)?;
    module.add_function(wrap_pyfunction!(call, module)?)?;
    module.add_function(wrap_pyfunction!(keccak256, module)?)?;
    module.add_function(wrap_pyfunction!(ordered_trie_root, module)?)?;
    module.add_function(wrap_pyfunction!(state_root, module)?)
}
