/*
 * kosekictl's verify command alone, for tests that need no daemon.
 */
#include "tools/kosekictl_verify.h"

int main(int argc, char **argv)
{
    return kosekictl_verify(argc, argv);
}
