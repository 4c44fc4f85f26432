package intel

// Registers (SDM 13.4) and their bits.
const (
	regCTRL    = 0x0000
	regSTATUS  = 0x0008
	regEERD    = 0x0014
	regCTRLEXT = 0x0018
	regICR     = 0x00C0
	regITR     = 0x00C4
	regIMS     = 0x00D0
	regIMC     = 0x00D8
	regRCTL    = 0x0100
	regTCTL    = 0x0400
	regTIPG    = 0x0410
	regRDBAL   = 0x2800
	regRDBAH   = 0x2804
	regRDLEN   = 0x2808
	regRDH     = 0x2810
	regRDT     = 0x2818
	regRDTR    = 0x2820
	regRXDCTL  = 0x2828
	regRADV    = 0x282C
	regTDBAL   = 0x3800
	regTDBAH   = 0x3804
	regTDLEN   = 0x3808
	regTDH     = 0x3810
	regTDT     = 0x3818
	regTIDV    = 0x3820
	regTXDCTL  = 0x3828
	regRXCSUM  = 0x5000
	regRFCTL   = 0x5008 // 82574
	regMTA     = 0x5200 // 128 words
	regRAL     = 0x5400
	regRAH     = 0x5404
	regsSize   = 0x10000 // up to here a driver needs them

	ctrlMasterDisable = 1 << 2 // 82574
	ctrlLRST          = 1 << 3
	ctrlASDE          = 1 << 5
	ctrlSLU           = 1 << 6
	ctrlILOS          = 1 << 7
	ctrlForce         = 3 << 11 // speed and duplex
	ctrlRST           = 1 << 26
	ctrlFlow          = 3 << 27
	ctrlVME           = 1 << 30
	ctrlPHYRST        = 1 << 31

	statusLU     = 1 << 1
	statusSpeed  = 6
	statusMaster = 1 << 19 // 82574

	ctrlextLoaded = 1 << 28 // 82574: a driver is there

	causeLSC    = 1 << 2
	causeRXDMT0 = 1 << 4
	causeRXO    = 1 << 6
	causeRXT0   = 1 << 7
	causes      = causeLSC | causeRXDMT0 | causeRXO | causeRXT0

	rctlEN    = 1 << 1
	rctlMPE   = 1 << 4
	rctlBAM   = 1 << 15
	rctlSECRC = 1 << 26

	tctlEN   = 1 << 1
	tctlPSP  = 1 << 3
	tctlCT   = 0x10 << 4
	tctlCOLD = 0x40 << 12

	tipg = 10 | 8<<10 | 6<<20 // SDM 13.4.34, for copper

	rxdctl82574 = 1<<24 | 1<<16 // granularity in descriptors, write back each
	txdctl82574 = 1<<24 | 1<<22 | 1<<16
	// Interrupts come at most every 195 × 256 ns, 20,000 a second.
	interval = 195

	rxcsumIPOFL = 1 << 8
	rxcsumTUOFL = 1 << 9

	rahValid = 1 << 31

	gone = 0xFFFF_FFFF // what a card reads as that isn't there any more
)

// Receive descriptors (SDM 3.2.3): the address, then length, checksum, status and errors.
const (
	rxDD     = 1 << 32
	rxEOP    = 1 << 33
	rxIXSM   = 1 << 34
	rxTCPCS  = 1 << 37
	rxErrors = (1<<0 | 1<<1 | 1<<2 | 1<<4 | 1<<7) << 40 // of the frame
	rxTCPE   = 1 << 45
	rxIPE    = 1 << 46
)

// Transmit descriptors (SDM 3.3.6, 3.3.7): data, and the context that says where checksums are.
const (
	txData   = 1 << 20
	txEOP    = 1 << 24
	txIFCS   = 1 << 25
	txRS     = 1 << 27
	txDEXT   = 1 << 29
	txDD     = 1 << 32
	txTXSM   = 1 << 41 // insert the transport's checksum
	txTCP    = 1 << 24 // of a context
	descSize = 16
)
