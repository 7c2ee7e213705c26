/*
 * kosekictl firewall: what must be let through to the link system and no further, as nftables rules
 * or as a drop-in for systemd, from the configuration alone.
 */
#ifndef TOOLS_KOSEKICTL_FIREWALL_H
#define TOOLS_KOSEKICTL_FIREWALL_H

/* argv[0] is "firewall". */
int kosekictl_firewall(int argc, char **argv);

#endif
