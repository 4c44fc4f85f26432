package main

import "keel/vmkernel/auth/builtin"

// image is what tools/mkimage has put into this image: when it was built (image.Built), the operator CAs that sign its
// seeds (image.SeedRules), and what it adds to its seed's trust (image.Extend). With an error the image is damaged: then
// no seed is to be taken, and no claim to be offered.
var image, errImage = builtin.Read()
