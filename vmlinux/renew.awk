# SPDX-License-Identifier: GPL-2.0-only
# First file: a BTF dump in C. Second file: fields.txt. Prints vmlinux.h; an unknown name is an error.
# Members of anonymous structs and unions are printed as the type's own: CO-RE looks through those.
FNR == 1 { file++ }
file == 1 && /^struct [a-z_0-9]+ \{$/ { type = $2 }
file == 1 && /^typedef .*;$/ { name = $NF; sub(/;/, "", name); typedefs[name] = $0 }
file == 1 && /^typedef struct \{$/ { type = "typedef" ; body = "" }
file == 1 && type == "typedef" && /^\t/ { body = body $0 "\n" }
file == 1 && type == "typedef" && /^\} [a-z_0-9]+;$/ {
	name = $2; sub(/;/, "", name); typedefs[name] = "typedef struct {\n" body "} " name ";"; type = ""
}
file == 1 && type != "" && type != "typedef" && /^\t.*;$/ {
	line = $0; name = $0
	sub(/(: [0-9]+)?;$/, "", name); sub(/\[.*/, "", name); sub(/.*[ *]/, "", name)
	sub(/^\t+/, "\t", line)
	if (!((type, name) in members))
		members[type, name] = line
}
file == 1 && /^\}/ { type = "" }
file == 1 && /^\t[A-Z0-9_]+ = [0-9]+,$/ { value = $3; sub(/,/, "", value); values[$1] = value }

function missing(what) { print "renew: no " what " in this kernel's BTF" >"/dev/stderr"; failed = 1; exit 1 }

file == 2 && FNR == 1 {
	print "/* SPDX-License-Identifier: GPL-2.0-only */"
	print "/*"
	print " * The kernel types that the BPF programs read, CO-RE. Made by renew.sh: edit fields.txt."
	print " */"
	print "#ifndef __VMLINUX_H__\n#define __VMLINUX_H__\n"
	n = split("u8:unsigned char,s8:signed char,u16:unsigned short,s16:short,u32:unsigned int,s32:int," \
		"u64:unsigned long long,s64:long long", basic, ",")
	for (i = 1; i <= n; i++) {
		split(basic[i], pair, ":")
		print "typedef " pair[2] " __" pair[1] ";\ntypedef __" pair[1] " " pair[1] ";"
	}
	print "#if __STDC_VERSION__ < 202311L\ntypedef _Bool bool;\n#endif"
	print "typedef __u16 __be16;\ntypedef __u32 __be32;\ntypedef __u32 __wsum;"
	print "typedef unsigned int sk_buff_data_t;\n"
	print "#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)\n"
}
file == 2 && /^value / {
	print "enum {"
	for (i = 2; i <= NF; i++) {
		if (!($i in values))
			missing($i)
		print "\t" $i " = " values[$i] ","
	}
	print "};\n"
}
file == 2 && /^typedef / { if (!($2 in typedefs)) missing($2); print typedefs[$2] "\n" }
file == 2 && /^struct / {
	body = ""
	for (i = 3; i <= NF; i++) {
		if (!(($2, $i) in members))
			missing("struct " $2 "." $i)
		line = members[$2, $i]
		if (match(line, /struct [a-z_0-9]+ \*/)) {
			pointee = substr(line, RSTART, RLENGTH - 2)
			if (!(pointee in declared))
				print pointee ";"
		}
		body = body line "\n"
	}
	declared["struct " $2] = 1
	print "struct " $2 " {\n" body "};\n"
}
END { if (!failed) print "#pragma clang attribute pop\n\n#endif" }
