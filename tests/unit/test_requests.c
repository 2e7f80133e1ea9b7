/* What kind a request is, by its first bytes. */
#include <criterion/criterion.h>
#include <linux/fuse.h>
#include <string.h>

#include "fuse/requests.h"
#include "fuse/session.h"
#include "fuse/stats.h"

static struct {
	struct fuse_in_header in;
	struct fuse_ioctl_in ioctl;
} request;

static int kind_of(uint32_t opcode)
{
	request.in.opcode = opcode;
	return cairn_request_kind(&request, sizeof(request));
}

Test(requests, have_the_kernels_names)
{
	cr_expect_eq(kind_of(FUSE_LOOKUP), CAIRN_REQUEST_lookup);
	cr_expect_eq(kind_of(FUSE_COPY_FILE_RANGE), CAIRN_REQUEST_copy_file_range);
	cr_expect_eq(kind_of(FUSE_RENAME), CAIRN_REQUEST_rename);
	cr_expect_eq(kind_of(FUSE_RENAME2), CAIRN_REQUEST_rename);
	cr_expect_str_eq(cairn_request_names.spread[CAIRN_REQUEST_mkdir], "requests.mkdir");
	for (unsigned int i = 0; i < CAIRN_REQUEST_KINDS; i++)
		cr_expect_not_null(cairn_request_names.spread[i]);
}

Test(requests, unknown_ones_are_others)
{
	cr_expect_eq(kind_of(0), CAIRN_REQUEST_other);
	cr_expect_eq(kind_of(FUSE_GETLK), CAIRN_REQUEST_other);
	cr_expect_eq(kind_of(200), CAIRN_REQUEST_other);
	cr_expect_eq(kind_of(UINT32_MAX), CAIRN_REQUEST_other);
}

Test(requests, one_without_a_whole_header_is_of_no_kind)
{
	request.in.opcode = FUSE_LOOKUP;
	cr_expect_eq(cairn_request_kind(&request, sizeof(request.in)), CAIRN_REQUEST_lookup);
	cr_expect_eq(cairn_request_kind(&request, sizeof(request.in) - 1), CAIRN_REQUEST_other);
	cr_expect_eq(cairn_request_kind(&request, 0), CAIRN_REQUEST_other);
}

Test(requests, questions_about_the_mount_are_none)
{
	static const unsigned int questions[] = { CAIRN_IOC_INFO, CAIRN_IOC_STATS,
						  CAIRN_IOC_SPREAD };

	request.in.nodeid = FUSE_ROOT_ID;
	for (size_t i = 0; i < sizeof(questions) / sizeof(*questions); i++) {
		request.ioctl.cmd = questions[i];
		cr_expect_eq(kind_of(FUSE_IOCTL), -1);
		cr_expect_eq(kind_of(FUSE_WRITE), CAIRN_REQUEST_write);
	}
	request.ioctl.cmd = CAIRN_IOC_INFO + 1;
	cr_expect_eq(kind_of(FUSE_IOCTL), CAIRN_REQUEST_ioctl);
}

Test(requests, what_only_looks_like_a_question_is_an_ioctl)
{
	request.ioctl.cmd = CAIRN_IOC_STATS;
	request.in.nodeid = FUSE_ROOT_ID + 1;
	cr_expect_eq(kind_of(FUSE_IOCTL), CAIRN_REQUEST_ioctl);
	request.in.nodeid = FUSE_ROOT_ID;
	cr_expect_eq(cairn_request_kind(&request, sizeof(request) - 1), CAIRN_REQUEST_ioctl);
	cr_expect_eq(cairn_request_kind(&request, sizeof(request.in)), CAIRN_REQUEST_ioctl);
}
