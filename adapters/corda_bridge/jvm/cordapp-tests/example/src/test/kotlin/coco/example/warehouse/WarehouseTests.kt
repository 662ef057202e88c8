package coco.example.warehouse

import java.io.ByteArrayInputStream
import java.io.ByteArrayOutputStream
import java.io.InputStream
import java.time.Instant
import java.util.zip.ZipEntry
import java.util.zip.ZipOutputStream
import net.corda.core.contracts.TimeWindow
import net.corda.core.contracts.UniqueIdentifier
import net.corda.core.identity.CordaX500Name
import net.corda.testing.common.internal.testNetworkParameters
import net.corda.testing.core.TestIdentity
import net.corda.testing.dsl.LedgerDSL
import net.corda.testing.dsl.TestLedgerDSLInterpreter
import net.corda.testing.dsl.TestTransactionDSLInterpreter
import net.corda.testing.node.MockServices
import net.corda.testing.node.ledger
import org.junit.Test

/** As CorDapps test their contracts: with R3's MockServices and its ledger language, and nothing of this project. */
class WarehouseTests {
    private val keeper = TestIdentity(CordaX500Name("Keeper", "Rotterdam", "NL"))
    private val alice = TestIdentity(CordaX500Name("Alice", "London", "GB"))
    private val bob = TestIdentity(CordaX500Name("Bob", "Paris", "FR"))
    private val authority = TestIdentity(CordaX500Name("Authority", "Brussels", "BE"))
    private val noon = Instant.parse("2024-01-01T12:00:00Z")
    private val services = MockServices(
            listOf("coco.example.warehouse"), keeper, testNetworkParameters(minimumPlatformVersion = 4), authority, alice, bob)

    private fun goods(crates: Int = 10, owner: TestIdentity = alice, id: UniqueIdentifier = UniqueIdentifier()) =
            GoodsState(crates, keeper.party, owner.party, id)

    private fun list(): InputStream {
        val bytes = ByteArrayOutputStream()
        ZipOutputStream(bytes).use {
            it.putNextEntry(ZipEntry("list.txt"))
            it.write("10 crates of oranges".toByteArray())
        }
        return ByteArrayInputStream(bytes.toByteArray())
    }

    private fun LedgerDSL<TestTransactionDSLInterpreter, TestLedgerDSLInterpreter>.licence() =
            unverifiedTransaction {
                attachments(LicenceContract.ID)
                output(LicenceContract.ID, "licence", LicenceState(authority.party, keeper.party, noon))
            }

    @Test
    fun `a licence is granted by its authority`() {
        services.ledger {
            transaction {
                output(LicenceContract.ID, LicenceState(authority.party, keeper.party, noon))
                tweak {
                    command(keeper.publicKey, LicenceContract.Grant())
                    failsWith("The authority grants.")
                }
                command(authority.publicKey, LicenceContract.Grant())
                verifies()
            }
        }
    }

    @Test
    fun `goods come in with licence, list and time`() {
        services.ledger {
            licence()
            val list = attachment(list())
            transaction {
                output(WarehouseContract.ID, goods())
                tweak {
                    command(alice.publicKey, WarehouseContract.Commands.Store())
                    failsWith("The keeper signs.")
                }
                command(keeper.publicKey, WarehouseContract.Commands.Store())
                failsWith("The keeper's licence is shown.")
                reference("licence")
                failsWith("It is known when.")
                tweak {
                    timeWindow(TimeWindow.untilOnly(noon.plusSeconds(1)))
                    failsWith("The licence lasts.")
                }
                timeWindow(TimeWindow.untilOnly(noon))
                failsWith("A list says what is in them.")
                attachment(list)
                verifies()
            }
        }
    }

    @Test
    fun `there must be crates`() {
        services.ledger {
            transaction {
                output(WarehouseContract.ID, goods(crates = 0))
                command(keeper.publicKey, WarehouseContract.Commands.Store())
                failsWith("There are crates.")
            }
        }
    }

    @Test
    fun `the owner hands goods on`() {
        val id = UniqueIdentifier()
        services.ledger {
            transaction {
                input(WarehouseContract.ID, goods(id = id))
                tweak {
                    output(WarehouseContract.ID, goods(owner = bob, id = id, crates = 11))
                    command(alice.publicKey, WarehouseContract.Commands.Hand())
                    failsWith("The lot stays the same.")
                }
                output(WarehouseContract.ID, goods(owner = bob, id = id))
                failsWith("A transaction must contain at least one command")
                tweak {
                    command(bob.publicKey, WarehouseContract.Commands.Hand())
                    failsWith("The owner signs.")
                }
                command(alice.publicKey, WarehouseContract.Commands.Hand())
                verifies()
            }
        }
    }

    /** Platform rules: a state stands under its own contract. */
    @Test
    fun `goods under another contract are refused`() {
        services.ledger {
            transaction {
                output(LicenceContract.ID, goods())
                output(LicenceContract.ID, LicenceState(authority.party, keeper.party, noon))
                command(authority.publicKey, LicenceContract.Grant())
                failsWith("belongs to contract")
            }
        }
    }
}
